"""`require`: denied unless granted, in every thread and task by itself."""

import asyncio
import pickle
import threading

import pytest

from pellucid.instrument import PermissionDenied, granted, grants, log, require, timing


@require("model:write")
def save():
    return "saved"


def test_denied_by_default_in_words():
    with pytest.raises(PermissionError, match="save requires") as caught:
        save()
    assert str(caught.value) == (
        "save requires 'model:write', and the caller was not granted 'model:write' "
        "(the caller holds nothing).\n"
        "hint: with pellucid.instrument.granted('model:write'): ..."
    )


def test_granted_only_inside_the_block_also_after_an_error():
    with granted("model:write"):
        assert save() == "saved"
    with pytest.raises(KeyError, match="inside"), granted("model:write"):
        raise KeyError("inside")
    with pytest.raises(PermissionDenied, match="the caller holds nothing"):
        save()
    assert grants().permissions == frozenset()


def test_all_of_several_and_nesting():
    both = require("read", "write")(lambda: "both")
    with granted("read", to="ada"):
        words = r"requires 'read' and 'write', and ada was not granted 'write' \(ada holds 'read'\)"
        with pytest.raises(PermissionDenied, match=words) as caught:
            both()
        assert "granted('write', to='ada')" in str(caught.value)
        assert (caught.value.missing, caught.value.who) == (("write",), "ada")
        with granted("write"):
            assert both() == "both" and grants().who == "ada"
        assert grants().permissions == {"read"}


def test_what_one_person_holds_does_not_pass_to_another():
    with granted("model:write", to="ada"), granted("read", to="bob"):
        assert (grants().who, grants().permissions) == ("bob", {"read"})
        with pytest.raises(PermissionDenied, match="bob was not granted 'model:write'"):
            save()


def test_bare_require_names_the_permission_after_the_function():
    @require
    def guarded():
        return 1

    with pytest.raises(PermissionDenied, match=r"guarded requires '.*guarded'") as caught:
        guarded()
    with granted(*caught.value.missing):
        assert guarded() == 1


def test_granted_is_a_decorator_too():
    assert granted("model:write")(save)() == "saved"


def test_a_thread_starts_with_nothing():
    seen = []

    def try_it():
        try:
            seen.append(save())
        except PermissionError:
            seen.append("denied")

    with granted("model:write"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert seen == ["denied"]


def test_tasks_do_not_see_each_others_grants():
    @require("model:write")
    async def asave(wait):
        await wait.wait()
        return "saved"

    async def with_grant(event):
        with granted("model:write"):
            event.set()
            await asyncio.sleep(0)
            return await asave(event)

    async def without(event):
        await event.wait()
        with pytest.raises(PermissionDenied, match="holds nothing"):
            await asave(event)
        return "denied"

    async def both():
        event = asyncio.Event()
        return await asyncio.gather(with_grant(event), without(event))

    assert asyncio.run(both()) == ["saved", "denied"]


def test_generators_run_nothing_before_the_check():
    ran = []

    @require("g")
    def body():
        ran.append(1)
        yield 1

    @require("g")
    async def abody():
        ran.append(2)
        yield 2

    with pytest.raises(PermissionDenied, match="requires 'g'"):
        next(body())
    with pytest.raises(PermissionDenied, match="requires 'g'"):
        asyncio.run(abody().__anext__())
    assert ran == []


def test_a_class_is_guarded_at_construction_methods_and_properties():
    @require("vault")
    class Vault:
        inside = "gold"

        def open(self):
            return self.inside

        @property
        def content(self):
            return self.inside

        @classmethod
        def default(cls):
            return cls()

        @staticmethod
        def location():
            return "here"

    class Annex(Vault):
        pass

    for make in (Vault, Annex, Vault.default):
        with pytest.raises(PermissionDenied, match="requires 'vault'"):
            make()
    with granted("vault"):
        vault = Annex()
        assert (vault.open(), vault.content, Vault.location()) == ("gold", "gold", "here")
    for use in (vault.open, lambda: vault.content, Vault.location):
        with pytest.raises(PermissionDenied, match="requires 'vault'"):
            use()


def test_stacked_outside_or_inside_the_refusal_stays():
    for decorated in (log(timing(save)), require("model:write")(log(timing(lambda: 1)))):
        with pytest.raises(PermissionDenied, match="requires 'model:write'"):
            decorated()


def test_the_error_survives_pickling():
    with pytest.raises(PermissionDenied, match="save") as caught:
        save()
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.missing == ("model:write",)


def test_permissions_are_words():
    with pytest.raises(ValueError, match="a permission is a non-empty string, got ''"):
        require("")
    with pytest.raises(ValueError, match="granted: a permission is a non-empty string, got 3"):
        granted(3).__enter__()
    with pytest.raises(TypeError, match="permissions are strings"):
        require(save, "write")

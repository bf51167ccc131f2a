"""The numbers of the zip format that PyTorch's files use.

A zip archive is a row of records, each behind a *local header*, then a *central directory* that
lists them, then an *end record* that says where the directory is. Archives of 4 GiB and more keep
the long numbers in "zip64" fields. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.5.3.
"""

from __future__ import annotations

import struct

LOCAL = struct.Struct("<IHHHHHIIIHH")
"""signature, version, flags, method, time, date, crc, packed, unpacked, name length, extra
length"""
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
"""signature, made by, version, flags, method, time, date, crc, packed, unpacked, name length, extra
length, comment length, disk, internal attributes, external attributes, local header offset"""
END = struct.Struct("<IHHHHIIH")
"""signature, disk, directory's disk, entries here, entries, directory bytes, its offset, comment"""
END64 = struct.Struct("<IQHHIIQQQQ")
"""signature, bytes that follow, made by, version, disk, directory's disk, entries here, entries,
directory bytes, its offset"""
LOCATOR64 = struct.Struct("<IIQI")
"""signature, disk, offset of the zip64 end record, disks"""

LOCAL_SIGNATURE = 0x04034B50
CENTRAL_SIGNATURE = 0x02014B50
DESCRIPTOR_SIGNATURE = 0x08074B50
END_SIGNATURE = 0x06054B50
END64_SIGNATURE = 0x06064B50
LOCATOR64_SIGNATURE = 0x07064B50

STORED, DEFLATED = 0, 8
ENCRYPTED, SIZES_FOLLOW, UTF8_NAMES = 0x1, 0x8, 0x800
MAX16, MAX32 = 0xFFFF, 0xFFFFFFFF
ZIP64_FIELD = 1
"""Tag of the extra field that holds 8-byte numbers."""
END_SEARCH = END.size + MAX16
"""The end record lies within this many bytes of the end of the file."""

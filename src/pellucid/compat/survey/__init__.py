"""What a program uses of PyTorch, found by reading it: nothing of the program is run."""

from pellucid.compat.survey.report import Finding as Finding
from pellucid.compat.survey.report import Survey as Survey
from pellucid.compat.survey.report import survey as survey

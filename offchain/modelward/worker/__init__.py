"""The worker: reads requests, predicts, answers, is paid; and loses nothing when it is killed."""

from modelward.config import Policy
from modelward.worker.milestones import Milestone, Observer
from modelward.worker.service import Report, Worker, identity_of, open_journal
from modelward.worker.versions import ServableModel, servable_models

__all__ = [
    "Milestone",
    "Observer",
    "Policy",
    "Report",
    "ServableModel",
    "Worker",
    "identity_of",
    "open_journal",
    "servable_models",
]

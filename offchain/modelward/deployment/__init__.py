"""Deploying the contracts: plan, apply, record, verify."""

from modelward.deployment.apply import Progress
from modelward.deployment.deployment import (
    Deployment,
    check_deployment,
    deploy,
    load_deployment,
    plan_deployment,
)
from modelward.deployment.plan import Action, Step
from modelward.deployment.record import DeployedContract, Record, record_path

__all__ = [
    "Action",
    "DeployedContract",
    "Deployment",
    "Progress",
    "Record",
    "Step",
    "check_deployment",
    "deploy",
    "load_deployment",
    "plan_deployment",
    "record_path",
]

"""deploy.toml and the environment, read once into frozen objects.

Nothing else in modelward reads either. A composition root (the CLI, a script, a test) calls
`load_config` and hands values down.

Environment variables: ``MODELWARD_CONFIG`` (path of deploy.toml), ``MODELWARD_HOME`` (keystores
and journals, ``~/.modelward`` by default), ``MODELWARD_NETWORK``, ``MODELWARD_ACCOUNT``,
``MODELWARD_PASSWORD``, ``MODELWARD_PASSWORD_FILE``, ``MODELWARD_RPC_<NETWORK>`` (URLs that replace
those of a network, separated by blanks), and whatever a network's ``url`` names as ``${NAME}``.
"""

from modelward.config.model import (
    DEVELOPMENT_CHAIN_ID,
    Config,
    ContractSpec,
    Finality,
    Network,
    safe_url,
)
from modelward.config.policy import Policy, TokenPrice
from modelward.config.read import FILE_NAME, load_config, starter

__all__ = [
    "DEVELOPMENT_CHAIN_ID",
    "FILE_NAME",
    "Config",
    "ContractSpec",
    "Finality",
    "Network",
    "Policy",
    "TokenPrice",
    "load_config",
    "safe_url",
    "starter",
]

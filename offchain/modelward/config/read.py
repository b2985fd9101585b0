"""Reads deploy.toml and the environment into `Config`; every error names file and key."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from modelward.config.model import Config, ContractSpec, Finality, Network
from modelward.config.policy import Policy, TokenPrice
from modelward.errors import ConfigurationError
from modelward.terms import Address

FILE_NAME = "deploy.toml"

_T = TypeVar("_T")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WEI = re.compile(r"(\d+)(?:\.(\d+))? ?(wei|gwei|ether|eth)")
_DECIMALS = {"wei": 0, "gwei": 9, "ether": 18, "eth": 18}


def starter() -> str:
    """The text of the deploy.toml that `modelward init` writes and that applies without one."""
    return files("modelward.config").joinpath("starter.toml").read_text(encoding="utf-8")


def load_config(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    start: Path | None = None,
) -> Config:
    """Read the configuration that applies here.

    The file is `path`, else ``MODELWARD_CONFIG``, else the nearest deploy.toml in `start` (the
    working directory) or above it, else the built-in default.

    Raises `ConfigurationError`, naming file and key.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("MODELWARD_HOME") or "~/.modelward").expanduser().absolute()
    file = _find(path, env, start or Path.cwd())
    text = starter() if file is None else _read(file)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}.", file=file) from error
    return _Reader(file, env).config(document, home)


def _find(path: Path | None, env: Mapping[str, str], start: Path) -> Path | None:
    named = path or (Path(value) if (value := env.get("MODELWARD_CONFIG")) else None)
    if named is not None:
        file = named.expanduser().absolute()
        return file / FILE_NAME if file.is_dir() else file
    start = start.absolute()
    return next((d / FILE_NAME for d in (start, *start.parents) if (d / FILE_NAME).is_file()), None)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no file {file}.",
            file=file,
            hint="Run `modelward init` to write a starter deploy.toml.",
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror or error}.", file=file
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 text.", file=file) from error


class _Reader:
    """Checks one parsed document; `self.file` and the key go into every message."""

    def __init__(self, file: Path | None, env: Mapping[str, str]) -> None:
        self.file = file
        self.env = env
        self.unresolved: dict[str, str] = {}

    def config(self, document: Mapping[str, Any], home: Path) -> Config:
        self.known(
            "",
            document,
            {"default_network", "networks", "contracts", "accounts", "store", "worker"},
        )
        root = self.file.parent if self.file else home
        networks = {
            name: self.network(name, self.table(f"networks.{name}", body))
            for name, body in self.named("networks", document).items()
        }
        if not networks:
            raise self.error("networks", "no network is configured")
        contracts = {
            name: self.contract(name, self.table(f"contracts.{name}", body))
            for name, body in self.named("contracts", document).items()
        }
        self.check_references(contracts)
        default = document.get("default_network", next(iter(networks)))
        if default not in networks:
            raise self.error("default_network", f"no network {default!r} is configured")
        password_file = self.env.get("MODELWARD_PASSWORD_FILE")
        return Config(
            path=self.file,
            root=root,
            home=home,
            networks=MappingProxyType(networks),
            contracts=MappingProxyType(contracts),
            accounts=MappingProxyType(self.accounts(document)),
            store_url=self.store_url(document, root),
            gateway_url=self.gateway_url(document),
            default_network=self.env.get("MODELWARD_NETWORK") or default,
            default_account=self.env.get("MODELWARD_ACCOUNT") or None,
            environment_password=self.env.get("MODELWARD_PASSWORD") or None,
            password_file=Path(password_file).expanduser().absolute() if password_file else None,
            unresolved=MappingProxyType(self.unresolved),
            worker=self.policy(self.table("worker", document.get("worker", {}))),
        )

    def network(self, name: str, body: Mapping[str, Any]) -> Network:
        key = f"networks.{name}"
        self.known(
            key,
            body,
            {
                "in_process", "url", "chain_id", "confirmations", "finality", "max_fee_per_gas",
                "log_range", "timeout", "poll_interval", "reorg_depth", "accounts",
            },
        )  # fmt: skip
        in_process = self.value(f"{key}.in_process", body.get("in_process", False), bool)
        if in_process == ("url" in body):
            raise self.error(key, "either `url` or `in_process = true` is needed")
        finality = body.get("finality", "depth")
        if finality not in get_args(Finality):
            raise self.error(f"{key}.finality", "it must be depth, safe or finalized")
        if "accounts" in body and body["accounts"] != "development":
            raise self.error(f"{key}.accounts", 'only "development" can stand here')
        if "chain_id" not in body:
            raise self.error(f"{key}.chain_id", "it is missing")
        cap = body.get("max_fee_per_gas")
        urls = [] if in_process else self.urls(name, body["url"])
        return Network(
            name=name,
            url=urls[0] if urls else None,
            fallback_urls=tuple(urls[1:]),
            chain_id=self.positive(f"{key}.chain_id", body["chain_id"]),
            confirmations=self.positive(f"{key}.confirmations", body.get("confirmations", 1)),
            finality=finality,
            max_fee_per_gas=None if cap is None else self.wei(f"{key}.max_fee_per_gas", cap),
            log_range=self.positive(f"{key}.log_range", body.get("log_range", 2_000)),
            timeout=self.seconds(f"{key}.timeout", body.get("timeout", 10)),
            poll_interval=self.seconds(f"{key}.poll_interval", body.get("poll_interval", 1)),
            development_accounts="accounts" in body,
            reorg_depth=self.positive(f"{key}.reorg_depth", body.get("reorg_depth", 64)),
        )

    def urls(self, network: str, value: object) -> list[str]:
        """The endpoints of a network, the preferred one first: the environment's or the file's."""
        variable = "MODELWARD_RPC_" + network.upper().replace("-", "_")
        given = self.env.get(variable, "").split()
        listed: list[object] = [*given] or (value if isinstance(value, list) else [value])
        if not listed:
            raise self.error(f"networks.{network}.url", "it is empty")
        return [self.url(network, each) for each in listed]

    def url(self, network: str, value: object) -> str:
        key = f"networks.{network}.url"
        raw = self.value(key, value, str)
        missing = [v for v in _VARIABLE.findall(raw) if not self.env.get(v)]
        if missing:
            self.unresolved[network] = missing[0]
            return raw
        url = _VARIABLE.sub(lambda match: self.env[match[1]], raw).strip()
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise self.error(key, "it must be an http:// or https:// URL")
        return url

    def contract(self, name: str, body: Mapping[str, Any]) -> ContractSpec:
        key = f"contracts.{name}"
        self.known(key, body, {"arguments"})
        arguments = self.value(f"{key}.arguments", body.get("arguments", []), list)
        for argument in arguments:
            if not isinstance(argument, str | int):
                raise self.error(f"{key}.arguments", f"{argument!r} is no string, number or truth")
        return ContractSpec(name, tuple(arguments))

    def check_references(self, contracts: Mapping[str, ContractSpec]) -> None:
        for spec in contracts.values():
            for reference in spec.references:
                if reference not in contracts:
                    raise self.error(
                        f"contracts.{spec.name}.arguments",
                        f"@{reference} names no contract of this file",
                        hint=_did_you_mean(reference, contracts),
                    )

    def accounts(self, document: Mapping[str, Any]) -> dict[str, str]:
        accounts = {}
        for name, value in self.named("accounts", document).items():
            account = self.value(f"accounts.{name}", value, str)
            if not (_ADDRESS.fullmatch(account) or _NAME.fullmatch(account)):
                raise self.error(
                    f"accounts.{name}", "it must be an address or the name of a keystore"
                )
            accounts[name] = account
        return accounts

    def store_url(self, document: Mapping[str, Any], root: Path) -> str:
        store = self.table("store", document.get("store", {}))
        self.known("store", store, {"url", "gateway"})
        default = ".modelward/store" if self.file else "store"
        url = self.value("store.url", store.get("url", default), str).strip()
        if not url:
            raise self.error("store.url", "it is empty")
        scheme, separator, rest = url.partition("://")
        if separator and scheme != "file":
            return url
        return (root / Path(rest if separator else url).expanduser()).as_uri()

    def gateway_url(self, document: Mapping[str, Any]) -> str | None:
        url = self.table("store", document.get("store", {})).get("gateway")
        if url is None:
            return None
        parts = urlsplit(self.value("store.gateway", url, str))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self.error("store.gateway", "it must be an http or https URL")
        return parts.geturl()

    def policy(self, body: Mapping[str, Any]) -> Policy:
        amounts = {"min_pay", "compute_cost", "max_spend", "refusal_budget"}
        counts = {
            "margin", "refuse_within", "max_input_bytes", "period", "max_requests", "patience",
            "window", "batch",
        }  # fmt: skip
        switches = {"allow_loss", "refuse_unpriced"}
        self.known("worker", body, amounts | counts | switches | {"tokens"})
        values: dict[str, Any] = {}
        for name, value in body.items():
            key = f"worker.{name}"
            if name in amounts:
                values[name] = self.wei(key, value, least=0)
            elif name in counts:
                values[name] = self.positive(key, value)
            elif name in switches:
                values[name] = self.value(key, value, bool)
            else:
                values[name] = MappingProxyType(self.token_prices(self.table(key, value)))
        return Policy(**values)

    def token_prices(self, table: Mapping[str, Any]) -> dict[Address, TokenPrice]:
        from eth_utils.address import to_checksum_address

        prices = {}
        for token, value in table.items():
            key = f'worker.tokens."{token}"'
            if not _ADDRESS.fullmatch(token):
                raise self.error(key, "a token is named by its address")
            body = self.table(key, value)
            self.known(key, body, {"price", "decimals"})
            for needed in ("price", "decimals"):
                if needed not in body:
                    raise self.error(f"{key}.{needed}", "it is missing")
            decimals = self.value(f"{key}.decimals", body["decimals"], int)
            if not 0 <= decimals <= 77:
                raise self.error(f"{key}.decimals", "a token has 0 to 77 decimals")
            price = TokenPrice(self.wei(f"{key}.price", body["price"]), decimals)
            prices[Address(to_checksum_address(token))] = price
        return prices

    def wei(self, key: str, value: object, least: int = 1) -> int:
        """An amount of wei: a whole number, or a string such as "1.5 gwei"."""
        if isinstance(value, int):
            return self.positive(key, value, least)
        match = _WEI.fullmatch(value) if isinstance(value, str) else None
        if match is None or len(match[2] or "") > _DECIMALS[match[3]]:
            raise self.error(key, 'it must be whole wei, or such as "100 gwei"')
        decimals, fraction = _DECIMALS[match[3]], match[2] or ""
        amount = int(match[1] + fraction) * 10 ** (decimals - len(fraction))
        return self.positive(key, amount, least)

    def positive(self, key: str, value: object, least: int = 1) -> int:
        number = self.value(key, value, int)
        if number < least:
            raise self.error(key, "it must be above zero" if least else "it must not be negative")
        return number

    def seconds(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 86_400:
            raise self.error(key, "it must be a number of seconds above zero")
        return float(value)

    def named(self, key: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self.table(key, document.get(key, {}))
        for name in table:
            if not _NAME.fullmatch(name):
                raise self.error(
                    f"{key}.{name!r}", "a name is made of letters, digits, hyphens, underscores"
                )
        return table

    def table(self, key: str, value: object) -> Mapping[str, Any]:
        return self.value(key, value, dict)

    def value(self, key: str, value: object, kind: type[_T]) -> _T:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            words = {bool: "true or false", int: "a whole number", str: "a string", list: "a list"}
            raise self.error(key, f"it must be {words.get(kind, 'a table')}")
        return value

    def known(self, key: str, table: Iterable[str], allowed: set[str]) -> None:
        for name in table:
            if name not in allowed:
                raise self.error(
                    f"{key}.{name}" if key else name,
                    "no such key exists",
                    hint=_did_you_mean(name, allowed),
                )

    def error(self, key: str, what: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(
            f"`{key}` in {self.file or 'the built-in deploy.toml'} cannot be used: {what}.",
            file=self.file,
            key=key,
            hint=hint,
        )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."

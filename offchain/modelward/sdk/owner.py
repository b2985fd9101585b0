"""What an owner does: publish, price, grant, revoke, retire, and take out what was earned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_utils.crypto import keccak

from modelward.chain.events import AccessGranted, VersionPublished
from modelward.chain.transactions import Call, Receipt
from modelward.commitments import model_id, version_id
from modelward.errors import (
    ContractRefused,
    InvalidTerms,
    NoExactProgram,
    ThresholdNotMet,
)
from modelward.models import canonical_json
from modelward.models.bundle import fingerprint
from modelward.models.manifest import ProgramRecord
from modelward.models.schema import Bounds
from modelward.pipeline.evaluate import check_thresholds, shown
from modelward.pipeline.package import PackagedModel, package
from modelward.sdk.catalogue import Catalogue, ListedModel, ListedVersion
from modelward.sdk.exact_publishing import DisputeTerms, admitting, storing
from modelward.sdk.grants import StandingGrant, standing_grants
from modelward.sdk.participant import Participant
from modelward.sdk.publication_book import PublicationRecord
from modelward.sdk.resource_keys import (
    KEYED_RIGHTS,
    current_model_key,
    key_holders,
    own_epoch_key,
    rewraps,
    wrapped_for_grantee,
)
from modelward.sdk.rotation import RotationPlan, plan_model_rotation
from modelward.sealing.envelope import Header, seal
from modelward.sealing.epochs import EpochKey
from modelward.terms import (
    NEVER,
    UNLIMITED,
    ZERO_ADDRESS,
    ZERO_HASH,
    GrantTerms,
    Metric,
    ModelId,
    ModelReference,
    ModelState,
    ModelTerms,
    Right,
    Version,
    VersionStatus,
    format_amount,
)


@dataclass(frozen=True)
class PublishedVersion:
    """A version that was published, now or before.

    `changes` says in words what was sent for it, empty when all of it stood already; `baseline` has
    the metrics of a constant guess on the same rows. `program` is the exact program that answers;
    without one, `without_program` says why.
    """

    version: ListedVersion
    baseline: tuple[Metric, ...]
    changes: tuple[str, ...]
    receipts: tuple[Receipt, ...] = field(repr=False)
    program: ProgramRecord | None = None
    without_program: str = ""

    @property
    def reference(self) -> str:
        """`owner/name@number`, with the owner's address."""
        return self.version.reference

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the registry records of it."""
        return self.version.version.metrics


class Owner(Participant):
    """Publishes models and says who may use and serve them."""

    # --- publishing ------------------------------------------------------------------------------

    def publish(
        self,
        estimator: Any,
        inputs: Any,
        labels: Any,
        *,
        name: str,
        price: int,
        thresholds: Mapping[str, object] | None = None,
        ranges: Mapping[str, Bounds] | None = None,
        payee: str | None = None,
        payee_bps: int | None = None,
        max_delay: int | None = None,
        open: bool | None = None,  # noqa: A002
        lineage: Mapping[str, bytes] | None = None,
        private: bool = True,
        exact: bool | None = None,
        agreement: object = None,
        disputes: DisputeTerms | None = None,
        registrant: str | None = None,
    ) -> PublishedVersion:
        """Publish a fitted scikit-learn classifier or regressor as a version of the model `name`.

        `inputs` (a table of rows) and `labels` (one a row) are held out: the metrics come from
        them, and so do the input ranges that `ranges` does not state. `price` is in wei, whole
        gwei. `thresholds` maps metrics to the least they must reach, now and for all later
        versions. `payee` gets `payee_bps` hundredths of a percent of every fee, the worker the
        rest; `max_delay` is the longest a request may wait, in seconds; an `open` model takes
        requests from everybody. What is not given stays as it is, or for a new model is half of the
        fee for the owner, a day, and by grant only.

        The bundle of a `private` version is stored sealed: only those granted READ or SERVE can
        open it. The first one sets the model's service key, to which requests seal their inputs.

        Where the estimator has an exact program, that is what answers, unless `exact` is False;
        where it has none it is refused if `exact`. `agreement` is the least
        share of rows, held out or next to the decision boundary, on which it must agree with the
        estimator; unless given, a program that agrees on less than 0.995 is left out.

        With `disputes`, answers are not a worker's word: the program is stored on chain, for
        everybody to read, and whoever holds a request's input can have it re-run there. That takes
        an estimator with an exact program, and `private=False`.

        A model that was transferred to the account goes by the name that its `registrant`, a name
        or an address, gave it.

        Publishing the same again sends nothing and returns the version there is.

        Raises:
            UnsupportedEstimator, UnfittedEstimator: the estimator cannot be published.
            InvalidInput: the held-out data do not fit it, or `ranges`.
            InvalidTerms: name, price or a threshold cannot be used.
            ThresholdNotMet: a metric is below a threshold, or the program below `agreement`;
                nothing was sent then.
            PredictionMismatch: the bundle predicts something else than the estimator in memory.
            StoreUnavailable: the bundle could not be stored; nothing was sent then.
        """
        packaged = package(
            estimator,
            inputs,
            labels,
            name=name,
            ranges=ranges,
            thresholds=thresholds,
            lineage=lineage,
            exact=True if disputes else exact,
            agreement=agreement,
        )
        return self.publish_packaged(
            packaged,
            price=price,
            payee=payee,
            payee_bps=payee_bps,
            max_delay=max_delay,
            open=open,
            private=private,
            disputes=disputes,
            registrant=registrant,
        )

    def publish_packaged(
        self,
        packaged: PackagedModel,
        *,
        price: int,
        payee: str | None = None,
        payee_bps: int | None = None,
        max_delay: int | None = None,
        open: bool | None = None,  # noqa: A002
        private: bool = True,
        disputes: DisputeTerms | None = None,
        registrant: str | None = None,
    ) -> PublishedVersion:
        """Publish what `modelward.pipeline.package` made, as `publish` does.

        Raises `InvalidTerms`, `UnknownModel`, `ThresholdNotMet`, `StoreUnavailable`, or with
        `disputes` `NoExactProgram`, or `ContractRefused` for a program that does not fit.
        """
        name = packaged.name
        if disputes is not None:
            _check_disputable(packaged, private)
        if registrant is None:
            model = model_id(self.address, name)
        else:
            model = self._model(f"{registrant}/{name}")
        state = self._state(model)
        if state is not None and state.retired:
            raise InvalidTerms(
                f"The model {name!r} was retired for good.", hint="Publish under another name."
            )
        terms = self._terms(state, price, payee, payee_bps, max_delay, open)
        standing = self.connection.registry.thresholds_of(model) if state else ()
        check_thresholds(packaged.metrics, standing)
        raised = _raised(packaged.thresholds, standing)

        key = current_model_key(self.connection, model) if state and private else None
        first_key = private and key is None
        if first_key:
            key = own_epoch_key(self.connection, model, 1)
        mark = self._mark(model, packaged, private, disputes)
        changes: list[tuple[str, Call]] = []
        if disputes is not None and packaged.program is not None:
            changes += storing(self.connection, packaged.program)
        version, is_new = self._version(model, packaged, mark, key if private else None, disputes)
        registry = self.connection.registry
        if state is None:
            register = registry.register_model(name, terms, packaged.thresholds)
            changes.append((f"registered the model {name}", register))
        else:
            if raised:
                words = ", ".join(f"{metric.name} {shown(metric)}" for metric in raised)
                changes.append(
                    (f"raised thresholds: {words}", registry.raise_thresholds(model, raised))
                )
            if terms != state.terms:
                words = _difference(state.terms, terms)
                changes.append((f"changed terms: {words}", registry.set_terms(model, terms)))
        if first_key and key is not None:
            service_key = registry.set_service_key(model, key.service_key().public)
            changes.append(("set the service key of epoch 1", service_key))
            holders = key_holders(self.connection, model)
            changes += [
                (f"gave the key to {len(holders)} who hold a grant", call)
                for call in rewraps(self.connection, key, model, holders)
            ]
        if is_new:
            changes.append(("published a version", registry.publish_version(version)))
        receipts = tuple(self.connection.send(call) for _, call in changes)
        if is_new:
            self._check_servable(receipts[-1])
        if disputes is not None:
            admission = admitting(self.connection, version)
            changes += admission
            receipts += tuple(self.connection.send(call) for _, call in admission)
        return PublishedVersion(
            version=Catalogue(self.connection).version_by_id(model, version_id(version)),
            baseline=packaged.evaluation.baseline,
            changes=tuple(words for words, _ in changes),
            receipts=receipts,
            program=packaged.manifest.program,
            without_program=packaged.without_program,
        )

    def retire(self, reference: str) -> Receipt:
        """Withdraw a version, or without one in the reference the model with all its versions.

        Requests already placed are still answered.

        Raises `InvalidTerms`, `UnknownModel`, `UnknownVersion` or `ContractRefused`.
        """
        named, model = self._own(reference)
        registry = self.connection.registry
        if named.version is None:
            return self.connection.send(registry.retire_model(model.id))
        version = Catalogue(self.connection).version(named)
        return self.connection.send(registry.retire_version(version.model_id, version.id))

    # --- granting --------------------------------------------------------------------------------

    def grant(
        self,
        grantee: str,
        model: str,
        rights: Right,
        *,
        expiry: int = NEVER,
        quota: int = UNLIMITED,
    ) -> AccessGranted:
        """Grant rights on a model, in place of an earlier grant to the same grantee.

        `grantee` is a name or an address, `model` a reference to one of the owner's models or just
        its name. `expiry` is the last second (Unix time) at which the grant is live, `quota` how
        many requests it is good for; both are for ever unless given. READ and SERVE on a model that
        has a service key bring the grantee its key, wrapped in the grant's event.

        Raises `UnknownAccount`, `UnknownModel`, `InvalidTerms`, `NoEncryptionKey` or
        `ContractRefused`.
        """
        meter = self.connection.escrow.address if Right.INFER in rights else ZERO_ADDRESS
        terms = GrantTerms(rights, expiry, quota, meter)
        receiver, resource = self.connection.addresses.address(grantee), self._model(model)
        key = current_model_key(self.connection, resource) if rights & KEYED_RIGHTS else None
        wrapped = wrapped_for_grantee(self.connection, key, resource, receiver) if key else b""
        call = self.connection.data_share.grant(receiver, resource, terms, wrapped)
        return self.connection.event_in(self.connection.send(call), AccessGranted)

    def revoke(self, grantee: str, model: str) -> Receipt:
        """End the grant to `grantee` on one model. Requests already placed are still answered.

        Raises `UnknownAccount`, `UnknownModel`, or `InvalidTerms` when there is no such grant.
        """
        holder, resource = self.connection.addresses.address(grantee), self._model(model)
        data_share = self.connection.data_share
        if not data_share.grant_of(self.address, holder, resource).rights:
            raise InvalidTerms(f"{grantee} holds no grant on {model}.")
        return self.connection.send(data_share.revoke(holder, resource))

    def revoke_all(self, grantee: str) -> Receipt:
        """End every grant to `grantee`, those on models not listed anywhere included."""
        holder = self.connection.addresses.address(grantee)
        return self.connection.send(self.connection.data_share.revoke_access(holder))

    def plan_rotation(self, model: str, *, revoke: str | None = None) -> RotationPlan:
        """Plan the next key epoch of a model, without the grant to `revoke`; nothing is sent.

        `rotation.carry_out` sends it. Raises `UnknownAccount`, `UnknownModel`, or `InvalidTerms`
        when there is no such grant.
        """
        revoked = (self.connection.addresses.address(revoke),) if revoke else ()
        return plan_model_rotation(self.connection, self._model(model), revoked=revoked)

    def grants(self, model: str | None = None) -> tuple[StandingGrant, ...]:
        """The grants that were made and not replaced, on one model or on everything."""
        resource = self._model(model) if model else None
        return standing_grants(self.connection, self.address, resource)

    # --- internal --------------------------------------------------------------------------------

    def _own(self, reference: str) -> tuple[ModelReference, ListedModel]:
        """One of the owner's models, from `name` or `owner/name`."""
        named = ModelReference.parse(
            reference if "/" in reference else f"{self.address}/{reference}"
        )
        model = Catalogue(self.connection).model(named)
        if model.owner != self.address:
            raise InvalidTerms(
                f"{reference} does not belong to {self.connection.account_name}, "
                f"but to {self.connection.addresses.name(model.owner)}.",
                hint="Name its owner with --account.",
            )
        return named, model

    def _model(self, reference: str) -> ModelId:
        return self._own(reference)[1].id

    def _state(self, model: ModelId) -> ModelState | None:
        try:
            return self.connection.registry.model_of(model)
        except ContractRefused as refused:
            if refused.error == "UnknownModel":
                return None
            raise

    def _terms(
        self,
        state: ModelState | None,
        price: int,
        payee: str | None,
        payee_bps: int | None,
        max_delay: int | None,
        open_: bool | None,
    ) -> ModelTerms:
        was = state.terms if state else ModelTerms(price)
        return ModelTerms(
            fee=price,
            payee_bps=was.payee_bps if payee_bps is None else payee_bps,
            max_delay=was.max_delay if max_delay is None else max_delay,
            open=was.open if open_ is None else open_,
            payee=was.payee if payee is None else self.connection.addresses.address(payee),
            token=was.token,
        )

    def _version(
        self,
        model: ModelId,
        packaged: PackagedModel,
        mark: bytes,
        key: EpochKey | None,
        disputes: DisputeTerms | None,
    ) -> tuple[Version, bool]:
        """The version to publish, stored and on record; whether it is not on chain yet.

        Its bundle is sealed with the content key of `key`, or stored in clear without one.

        The same model measured on the same rows is the same version, also when publishing it was
        interrupted before it reached the chain.
        """
        connection = self.connection
        record = connection.publications.get(mark)
        if record is not None:
            version = record.version
            status = connection.registry.version_of(model, version_id(version)).status
            if status is VersionStatus.SERVABLE:
                return version, False
            kept = map(connection.store.has, (version.content_hash, version.manifest_hash))
            if status is VersionStatus.NONE and all(kept) and self._is_sealed_by(version, key):
                return version, True
        bundle, program = packaged.bundle, packaged.manifest.program
        program_hash = program.hash if program else ZERO_HASH
        stored = bundle.data
        if key is not None:
            binding = connection.keyring.binding(model, key.epoch)
            stored = seal(bundle.data, key.content_key(), binding)
        version = Version(
            model_id=model,
            bundle_hash=bundle.hash,
            content_hash=connection.store.put(stored),
            manifest_hash=connection.store.put(bundle.manifest_bytes),
            program_hash=program_hash,
            evaluation_hash=packaged.evaluation_hash,
            verifier=connection.deployment.referee.address if disputes else ZERO_ADDRESS,
            verifier_settings=disputes.settings(program_hash) if disputes else ZERO_HASH,
            attestor=self.address,
            metrics=tuple(sorted(packaged.metrics, key=lambda metric: metric.name)),
            uri=connection.published_uri,
        )
        salt = packaged.evaluation.salt
        connection.publications.write(mark, PublicationRecord(version, salt))
        return version, True

    def _is_sealed_by(self, version: Version, key: EpochKey | None) -> bool:
        """Whether a stored bundle is sealed in the epoch of `key`, or in clear without one."""
        if key is None or version.content_hash == version.bundle_hash:
            return key is None and version.content_hash == version.bundle_hash
        stored = self.connection.store.get(version.content_hash)
        return Header.decoded(stored).binding.epoch == key.epoch

    def _mark(
        self,
        model: ModelId,
        packaged: PackagedModel,
        private: bool,
        disputes: DisputeTerms | None,
    ) -> bytes:
        """What makes two publications the same: registry, model, estimator, schema and rows,
        whether it is private, and what a dispute about it is settled by.
        """
        manifest, program = packaged.manifest, packaged.manifest.program
        described = {
            "input": manifest.input.to_json(),
            "output": manifest.output.to_json(),
            "libraries": dict(manifest.libraries),
            "lineage": {name: digest.hex() for name, digest in manifest.lineage.items()},
            "program": program.hash.hex() if program else None,
            "private": private,
            "disputes": [disputes.window, str(disputes.bond)] if disputes else None,
        }
        return keccak(
            self.connection.chain.genesis_hash
            + bytes.fromhex(self.connection.registry.address[2:])
            + model
            + fingerprint(packaged.bundle)
            + packaged.evaluation.plain_hash
            + canonical_json.dumps(described)
        )

    def _check_servable(self, receipt: Receipt) -> None:
        published = self.connection.event_in(receipt, VersionPublished)
        if published.status is not VersionStatus.SERVABLE:
            raise ThresholdNotMet(
                f"The registry recorded version {published.number} as rejected: "
                "a threshold was raised meanwhile."
            )


def _check_disputable(packaged: PackagedModel, private: bool) -> None:
    if packaged.program is None:
        raise NoExactProgram(
            f"The model {packaged.name!r} has no exact program to settle disputes by:"
            f" {packaged.without_program}"
        )
    if private:
        raise InvalidTerms(
            "A program that settles disputes is stored on chain, where everybody can read it.",
            hint="Publish the model in clear (--clear), or without disputes (--attested).",
        )


def _raised(given: tuple[Metric, ...], standing: tuple[Metric, ...]) -> list[Metric]:
    """Those of `given` that are new or stricter. Raises `InvalidTerms` for a laxer one."""
    current = {metric.name: metric for metric in standing}
    raised = []
    for metric in given:
        was = current.get(metric.name)
        if was is not None and not metric.reaches(was):
            raise InvalidTerms(
                f"The threshold on {metric.name} is {shown(was)} and can only be made stricter, "
                f"not {shown(metric)}."
            )
        if metric != was:
            raised.append(metric)
    return raised


def _difference(was: ModelTerms, now: ModelTerms) -> str:
    changed = []
    if was.fee != now.fee:
        changed.append(f"price {format_amount(was.fee)} to {format_amount(now.fee)}")
    if was.payee_bps != now.payee_bps:
        changed.append(f"payee's share {was.payee_bps / 100:g} % to {now.payee_bps / 100:g} %")
    if was.max_delay != now.max_delay:
        changed.append(f"longest delay {was.max_delay} s to {now.max_delay} s")
    if was.open != now.open:
        changed.append("now open to everybody" if now.open else "now by grant only")
    if was.payee != now.payee:
        payees = ["the owner" if each == ZERO_ADDRESS else each for each in (was.payee, now.payee)]
        changed.append(f"payee {payees[0]} to {payees[1]}")
    return ", ".join(changed)

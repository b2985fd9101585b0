// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice A measured figure or, in a model's thresholds, the least it must reach. One storage word.
/// @param name ASCII, padded with zeros, such as "accuracy".
/// @param higherIsBetter The direction: false for errors and losses.
/// @param ppm Parts per million: 980000 is 0.98.
struct Metric {
    bytes23 name;
    bool higherIsBetter;
    int64 ppm;
}

/// @notice What a model is offered for. It may change at any time, for later requests only.
/// @param fee Price of one prediction. In ETH: wei in whole gwei, below 2^48 gwei. In a token: its base
/// units, below 2^96.
/// @param token Zero for ETH, otherwise an ERC-20.
/// @param payee Receives the owner's share; zero means the owner.
/// @param payeeBps The payee's share of the fee in hundredths of a percent, rounded down; the worker is
/// paid the rest.
/// @param maxDelay Longest time, in seconds, between a request and its deadline.
/// @param open Whether anyone may request predictions, or only holders of an INFER grant.
struct ModelTerms {
    uint256 fee;
    address token;
    address payee;
    uint16 payeeBps;
    uint24 maxDelay;
    bool open;
}

/// @notice A version of a model. Its id is the hash of all of this, so none of it can ever change.
/// @param modelId The model it is a version of.
/// @param bundleHash Keccak-256 of the packaged model in clear.
/// @param contentHash Keccak-256 of the bytes that are stored: `bundleHash`, or that of its ciphertext.
/// @param manifestHash Keccak-256 of the manifest, which is stored in clear.
/// @param programHash Keccak-256 of the exact integer program; zero if there is none.
/// @param evaluationHash Salted hash of the rows the metrics were measured on.
/// @param verifier The contract that decides what a correct answer is; zero where a worker's word does.
/// @param verifierSettings Means what the verifier says it means.
/// @param attestor Who vouches for the metrics: the owner, or an evaluator that signed the version's id.
/// @param metrics At most 16, in strictly ascending order of their names.
/// @param uri The content store that holds bundle and manifest by hash.
struct Version {
    bytes32 modelId;
    bytes32 bundleHash;
    bytes32 contentHash;
    bytes32 manifestHash;
    bytes32 programHash;
    bytes32 evaluationHash;
    address verifier;
    bytes32 verifierSettings;
    address attestor;
    Metric[] metrics;
    string uri;
}

/// @notice None -> Servable -> Retired, or None -> Rejected.
/// @param None Never published.
/// @param Servable Met its model's thresholds when it was published.
/// @param Rejected Did not; it can never be served.
/// @param Retired Withdrawn by the owner; open requests for it are still answered.
enum VersionStatus {
    None,
    Servable,
    Rejected,
    Retired
}

/// @notice What is offered: the part of a request's terms that is the same for every request placed
/// under it.
/// @param modelId The model.
/// @param versionId The version that answers; pins the bundle by its hash.
/// @param owner The model's owner, whose SERVE grants say who may answer.
/// @param payee Is credited the owner's share.
/// @param payeeBps The payee's share of `fee` in hundredths of a percent, rounded down to a wei; the
/// worker is credited the rest.
/// @param token The currency of `fee`; zero for ETH.
/// @param fee Price of the prediction, in wei or in the token's base units.
/// @param verifier The only contract that may end the request other than by a refund; zero where an
/// eligible worker's word does.
struct Offer {
    bytes32 modelId;
    bytes32 versionId;
    address owner;
    address payee;
    uint16 payeeBps;
    address token;
    uint256 fee;
    address verifier;
}

/// @notice A model as it stands.
/// @param versions How many versions were published, rejected ones included; they are numbered from 1.
struct ModelState {
    address owner;
    ModelTerms terms;
    bool retired;
    uint32 versions;
}

/// @notice The X25519 key that inputs for a model are sealed to.
/// @param epoch Counts from 1; a sealed input names the epoch it is for.
struct ServiceKey {
    uint32 epoch;
    bytes32 publicKey;
}

/// @notice A version as it stands.
/// @param number Its place among the versions of its model, from 1.
/// @param publishedAt Unix time.
struct VersionState {
    VersionStatus status;
    uint32 number;
    uint40 publishedAt;
    address verifier;
}

/// @title IModelRegistry
/// @notice Models, their immutable versions, the gate on their metrics, and their price.
///
/// A model's id is the hash of its owner and its name, so no one can take a name from anyone else.
///
/// The gate: a version that misses a threshold of its model is recorded as rejected and can never be
/// served. Thresholds only rise. They bind what is published afterwards.
///
/// WARNING: Metrics are what the attestor says they are. Where the attestor is the owner, they prove
/// nothing by themselves.
///
/// Nobody but its owner has any power over a model.
interface IModelRegistry {
    /// @notice An owner registered a model.
    event ModelRegistered(bytes32 indexed modelId, address indexed owner, string name);

    /// @notice A model's terms were set or changed.
    event TermsSet(bytes32 indexed modelId, ModelTerms terms);

    /// @notice A threshold was set or raised.
    event ThresholdRaised(bytes32 indexed modelId, bytes23 indexed name, bool higherIsBetter, int64 ppm);

    /// @notice A version was published: `Servable` if it met every threshold, otherwise `Rejected`.
    event VersionPublished(
        bytes32 indexed modelId, bytes32 indexed versionId, uint32 number, VersionStatus status, Version version
    );

    /// @notice An owner withdrew a version.
    event VersionRetired(bytes32 indexed modelId, bytes32 indexed versionId);

    /// @notice An owner withdrew a model with all its versions, for good.
    event ModelRetired(bytes32 indexed modelId);

    /// @notice The owner offered the model to somebody; the zero address takes the offer back.
    event OwnershipOffered(bytes32 indexed modelId, address indexed owner, address indexed newOwner);

    /// @notice Somebody accepted the model. The grants of its old owner no longer count for it.
    event OwnershipTransferred(bytes32 indexed modelId, address indexed oldOwner, address indexed newOwner);

    /// @notice From now on inputs are to be sealed to this key.
    event ServiceKeySet(bytes32 indexed modelId, uint32 indexed epoch, bytes32 publicKey);

    /// @notice The name is empty or longer than 64 bytes.
    error InvalidName(uint256 length, uint256 most);

    /// @notice The caller has a model of that name.
    error ModelExists(bytes32 modelId);

    /// @notice No model has this id.
    error UnknownModel(bytes32 modelId);

    /// @notice Only the model's owner may do this.
    error NotOwner(bytes32 modelId, address owner, address caller);

    /// @notice The model was withdrawn.
    error ModelIsRetired(bytes32 modelId);

    /// @notice The fee is not a multiple of `unit`, or is more than `most`.
    error InvalidFee(uint256 fee, uint256 unit, uint256 most);

    /// @notice A currency is a contract.
    error TokenHasNoCode(address token);

    /// @notice The model was not offered to the caller.
    error NotOfferedTo(bytes32 modelId, address offeredTo, address caller);

    /// @notice A public key cannot be zero.
    error KeyIsZero();

    /// @notice The payee's share is more than the whole.
    error InvalidShare(uint256 payeeBps, uint256 whole);

    /// @notice Requests would have no time to be answered in.
    error MaxDelayIsZero();

    /// @notice A model has at most `most` thresholds, a version at most `most` metrics.
    error TooManyMetrics(uint256 count, uint256 most);

    /// @notice The metric at `index` has no name, or not one greater than that of the metric before.
    error MetricsNotAscending(uint256 index);

    /// @notice A threshold cannot be lowered, nor change its direction.
    error ThresholdLowered(bytes23 name, int64 current, int64 given);

    /// @notice Bundle, content and manifest hash cannot be zero.
    error HashIsZero();

    /// @notice An owner that vouches for its own metrics signs nothing.
    error AttestationNotEmpty(uint256 length);

    /// @notice The same version has been published before.
    error VersionExists(bytes32 versionId, VersionStatus status);

    /// @notice The model has no such version.
    error UnknownVersion(bytes32 modelId, bytes32 versionId);

    /// @notice The version was rejected or retired.
    error VersionNotServable(bytes32 versionId, VersionStatus status);

    // --- models -----------------------------------------------------------------------------------

    /// @notice Registers a model of the caller's.
    /// @param name 1 to 64 bytes, unique among the caller's models.
    function registerModel(string calldata name, ModelTerms calldata terms, Metric[] calldata thresholds)
        external
        returns (bytes32 modelId);

    /// @notice Changes what a model is offered for. Requests already placed keep their terms.
    function setTerms(bytes32 modelId, ModelTerms calldata terms) external;

    /// @notice Adds thresholds, or raises those of the same name ("raises" means: makes stricter).
    function raiseThresholds(bytes32 modelId, Metric[] calldata thresholds) external;

    /// @notice Withdraws a model for good. Requests already placed are still answered.
    function retireModel(bytes32 modelId) external;

    /// @notice Offers a model to somebody, who becomes its owner by accepting. Replaces an earlier offer;
    /// the zero address takes it back.
    function offerOwnership(bytes32 modelId, address newOwner) external;

    /// @notice Accepts a model. Requests already placed stay with the old owner: its workers answer them,
    /// its payee is paid. From now on the grants of the new owner count.
    /// @dev A payee that was named stays until the new owner sets other terms.
    function acceptOwnership(bytes32 modelId) external;

    /// @notice Sets the key that inputs for a model are to be sealed to, and begins its next epoch.
    function setServiceKey(bytes32 modelId, bytes32 publicKey) external returns (uint32 epoch);

    // --- versions ---------------------------------------------------------------------------------

    /// @notice Publishes a version of one of the caller's models.
    /// @param attestation Empty where the caller vouches for the metrics itself; otherwise the attestor's
    /// signature of `Attestation(bytes32 modelId,bytes32 versionId)`.
    /// @dev Also reverts with the errors of `Signatures`.
    /// @return versionId Keccak-256 of `abi.encode(version)`.
    /// @return status `Servable`, or `Rejected` if a threshold has no metric that reaches it.
    function publishVersion(Version calldata version, bytes calldata attestation)
        external
        returns (bytes32 versionId, VersionStatus status);

    /// @notice Withdraws a servable version. Requests already placed are still answered.
    function retireVersion(bytes32 modelId, bytes32 versionId) external;

    // --- reading ----------------------------------------------------------------------------------

    /// @notice What a request placed now would be bound to.
    /// @return offer The offer that stands.
    /// @return maxDelay Longest time, in seconds, between the request and its deadline.
    /// @return open Whether no INFER grant is needed.
    /// @dev Reverts with `UnknownModel`, `ModelIsRetired`, `UnknownVersion` or `VersionNotServable`.
    function quote(bytes32 modelId, bytes32 versionId)
        external
        view
        returns (Offer memory offer, uint256 maxDelay, bool open);

    /// @notice The id of `owner`'s model called `name`, registered or not.
    function modelIdOf(address owner, string calldata name) external pure returns (bytes32);

    /// @notice The id a version has or would have.
    function versionIdOf(Version calldata version) external pure returns (bytes32);

    /// @notice A model as it stands; reverts with `UnknownModel`.
    function modelOf(bytes32 modelId) external view returns (ModelState memory);

    /// @notice A version as it stands; its status is `None` where there is none.
    function versionOf(bytes32 modelId, bytes32 versionId) external view returns (VersionState memory);

    /// @notice What an attestor signs, as an EIP-712 digest.
    function attestationDigest(bytes32 modelId, bytes32 versionId) external view returns (bytes32);

    /// @notice To whom a model is offered; zero if to no one.
    function pendingOwnerOf(bytes32 modelId) external view returns (address);

    /// @notice The key that inputs for a model are sealed to; epoch 0 if there is none.
    function serviceKeyOf(bytes32 modelId) external view returns (ServiceKey memory);

    /// @notice The least that the model's next version must reach.
    function thresholdsOf(bytes32 modelId) external view returns (Metric[] memory);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {
    IModelRegistry,
    Metric,
    ModelState,
    ModelTerms,
    Offer,
    ServiceKey,
    Version,
    VersionState,
    VersionStatus
} from "./interfaces/IModelRegistry.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title ModelRegistry
/// @notice See `IModelRegistry`, which is the specification.
contract ModelRegistry is IModelRegistry, EIP712 {
    /// @dev All that a quote needs of a model whose payee is its owner, in one word.
    struct Model {
        address owner;
        uint48 feeGwei;
        uint16 payeeBps;
        uint24 maxDelay;
        uint8 flags;
    }

    /// @dev Read to publish a version, and for a quote only where the payee is not the owner.
    struct ModelExtra {
        address payee;
        uint32 versions;
    }

    /// @dev Read only where the price is in a token.
    struct TokenPrice {
        address token;
        uint96 fee;
    }

    bytes32 private constant ATTESTATION_TYPEHASH = keccak256("Attestation(bytes32 modelId,bytes32 versionId)");

    uint8 private constant OPEN = 1;
    uint8 private constant HAS_PAYEE = 2;
    uint8 private constant RETIRED = 4;
    uint8 private constant HAS_TOKEN = 8;

    uint256 private constant MAX_NAME_LENGTH = 64;
    uint256 private constant MAX_METRICS = 16;
    uint256 private constant MAX_THRESHOLDS = 8;
    uint256 private constant MAX_ETH_FEE = uint256(type(uint48).max) * 1 gwei;
    uint256 private constant MAX_TOKEN_FEE = type(uint96).max;
    uint256 private constant WHOLE_BPS = 10_000;

    mapping(bytes32 modelId => Model) private _models;
    mapping(bytes32 modelId => ModelExtra) private _extras;
    mapping(bytes32 modelId => TokenPrice) private _tokenPrices;
    mapping(bytes32 modelId => Metric[]) private _thresholds;
    mapping(bytes32 modelId => ServiceKey) private _serviceKeys;
    mapping(bytes32 modelId => mapping(bytes32 versionId => VersionState)) private _versions;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 modelId => address) public pendingOwnerOf;

    constructor() EIP712("modelward ModelRegistry", "1") {}

    // --- models -----------------------------------------------------------------------------------

    /// @inheritdoc IModelRegistry
    function registerModel(string calldata name, ModelTerms calldata terms, Metric[] calldata thresholds)
        external
        returns (bytes32 modelId)
    {
        uint256 length = bytes(name).length;
        if (length == 0 || length > MAX_NAME_LENGTH) revert InvalidName(length, MAX_NAME_LENGTH);
        modelId = modelIdOf(msg.sender, name);
        if (_models[modelId].owner != address(0)) revert ModelExists(modelId);

        emit ModelRegistered(modelId, msg.sender, name);
        _setTerms(modelId, terms);
        _raiseThresholds(modelId, thresholds);
    }

    /// @inheritdoc IModelRegistry
    function setTerms(bytes32 modelId, ModelTerms calldata terms) external {
        _requireLiveModelOfCaller(modelId);
        _setTerms(modelId, terms);
    }

    /// @inheritdoc IModelRegistry
    function raiseThresholds(bytes32 modelId, Metric[] calldata thresholds) external {
        _requireLiveModelOfCaller(modelId);
        _raiseThresholds(modelId, thresholds);
    }

    /// @inheritdoc IModelRegistry
    function retireModel(bytes32 modelId) external {
        _requireLiveModelOfCaller(modelId);

        _models[modelId].flags |= RETIRED;

        emit ModelRetired(modelId);
    }

    /// @inheritdoc IModelRegistry
    function offerOwnership(bytes32 modelId, address newOwner) external {
        _requireLiveModelOfCaller(modelId);

        pendingOwnerOf[modelId] = newOwner;

        emit OwnershipOffered(modelId, msg.sender, newOwner);
    }

    /// @inheritdoc IModelRegistry
    function acceptOwnership(bytes32 modelId) external {
        Model storage model = _live(modelId);
        address offeredTo = pendingOwnerOf[modelId];
        if (offeredTo != msg.sender) revert NotOfferedTo(modelId, offeredTo, msg.sender);

        address oldOwner = model.owner;
        model.owner = msg.sender;
        delete pendingOwnerOf[modelId];

        emit OwnershipTransferred(modelId, oldOwner, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function setServiceKey(bytes32 modelId, bytes32 publicKey) external returns (uint32 epoch) {
        _requireLiveModelOfCaller(modelId);
        if (publicKey == bytes32(0)) revert KeyIsZero();

        ServiceKey storage key = _serviceKeys[modelId];
        epoch = key.epoch + 1;
        key.epoch = epoch;
        key.publicKey = publicKey;

        emit ServiceKeySet(modelId, epoch, publicKey);
    }

    // --- versions ---------------------------------------------------------------------------------

    /// @inheritdoc IModelRegistry
    function publishVersion(Version calldata version, bytes calldata attestation)
        external
        returns (bytes32 versionId, VersionStatus status)
    {
        bytes32 modelId = version.modelId;
        _requireLiveModelOfCaller(modelId);
        if (version.bundleHash == 0 || version.contentHash == 0 || version.manifestHash == 0) revert HashIsZero();
        _requireAscending(version.metrics);
        versionId = versionIdOf(version);
        VersionState storage state = _versions[modelId][versionId];
        if (state.status != VersionStatus.None) revert VersionExists(versionId, state.status);
        if (version.attestor != msg.sender) {
            Signatures.requireSigned(version.attestor, attestationDigest(modelId, versionId), attestation);
        } else if (attestation.length != 0) {
            revert AttestationNotEmpty(attestation.length);
        }

        uint32 number = ++_extras[modelId].versions;
        status = _meetsThresholds(modelId, version.metrics) ? VersionStatus.Servable : VersionStatus.Rejected;
        _versions[modelId][versionId] = VersionState({
            status: status,
            number: number,
            publishedAt: uint40(block.timestamp),
            verifier: version.verifier
        });

        emit VersionPublished(modelId, versionId, number, status, version);
    }

    /// @inheritdoc IModelRegistry
    function retireVersion(bytes32 modelId, bytes32 versionId) external {
        _requireLiveModelOfCaller(modelId);
        VersionState storage state = _servable(modelId, versionId);

        state.status = VersionStatus.Retired;

        emit VersionRetired(modelId, versionId);
    }

    // --- reading ----------------------------------------------------------------------------------

    /// @inheritdoc IModelRegistry
    function quote(bytes32 modelId, bytes32 versionId)
        external
        view
        returns (Offer memory offer, uint256 maxDelay, bool open)
    {
        Model storage model = _live(modelId);
        offer.modelId = modelId;
        offer.versionId = versionId;
        offer.owner = model.owner;
        offer.payee = model.flags & HAS_PAYEE == 0 ? model.owner : _extras[modelId].payee;
        offer.payeeBps = model.payeeBps;
        (offer.token, offer.fee) = _price(model, modelId);
        offer.verifier = _servable(modelId, versionId).verifier;
        maxDelay = model.maxDelay;
        open = model.flags & OPEN != 0;
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(address owner, string calldata name) public pure returns (bytes32) {
        return keccak256(abi.encode(owner, name));
    }

    /// @inheritdoc IModelRegistry
    function versionIdOf(Version calldata version) public pure returns (bytes32) {
        return keccak256(abi.encode(version));
    }

    /// @inheritdoc IModelRegistry
    function modelOf(bytes32 modelId) external view returns (ModelState memory) {
        Model storage model = _known(modelId);
        ModelExtra memory extra = _extras[modelId];
        (address token, uint256 fee) = _price(model, modelId);
        return ModelState({
            owner: model.owner,
            terms: ModelTerms({
                fee: fee,
                token: token,
                payee: extra.payee,
                payeeBps: model.payeeBps,
                maxDelay: model.maxDelay,
                open: model.flags & OPEN != 0
            }),
            retired: model.flags & RETIRED != 0,
            versions: extra.versions
        });
    }

    /// @inheritdoc IModelRegistry
    function versionOf(bytes32 modelId, bytes32 versionId) external view returns (VersionState memory) {
        return _versions[modelId][versionId];
    }

    /// @inheritdoc IModelRegistry
    function attestationDigest(bytes32 modelId, bytes32 versionId) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ATTESTATION_TYPEHASH, modelId, versionId)));
    }

    /// @inheritdoc IModelRegistry
    function serviceKeyOf(bytes32 modelId) external view returns (ServiceKey memory) {
        return _serviceKeys[modelId];
    }

    /// @inheritdoc IModelRegistry
    function thresholdsOf(bytes32 modelId) external view returns (Metric[] memory) {
        return _thresholds[modelId];
    }

    // --- internal ---------------------------------------------------------------------------------

    function _setTerms(bytes32 modelId, ModelTerms calldata terms) private {
        bool inToken = terms.token != address(0);
        (uint256 unit, uint256 most) = inToken ? (1, MAX_TOKEN_FEE) : (1 gwei, MAX_ETH_FEE);
        if (terms.fee % unit != 0 || terms.fee > most) revert InvalidFee(terms.fee, unit, most);
        if (inToken && terms.token.code.length == 0) revert TokenHasNoCode(terms.token);
        if (terms.payeeBps > WHOLE_BPS) revert InvalidShare(terms.payeeBps, WHOLE_BPS);
        if (terms.maxDelay == 0) revert MaxDelayIsZero();

        uint8 flags = (terms.open ? OPEN : 0) | (terms.payee == address(0) ? 0 : HAS_PAYEE) | (inToken ? HAS_TOKEN : 0);
        _models[modelId] = Model({
            owner: msg.sender,
            feeGwei: inToken ? 0 : uint48(terms.fee / 1 gwei),
            payeeBps: terms.payeeBps,
            maxDelay: terms.maxDelay,
            flags: flags
        });
        _extras[modelId].payee = terms.payee;
        if (inToken) _tokenPrices[modelId] = TokenPrice({token: terms.token, fee: uint96(terms.fee)});

        emit TermsSet(modelId, terms);
    }

    function _raiseThresholds(bytes32 modelId, Metric[] calldata given) private {
        Metric[] storage thresholds = _thresholds[modelId];
        for (uint256 i = 0; i < given.length; ++i) {
            Metric calldata metric = given[i];
            if (metric.name == 0) revert MetricsNotAscending(i);
            (bool found, uint256 place) = _find(thresholds, metric.name);
            if (!found) {
                if (place == MAX_THRESHOLDS) revert TooManyMetrics(place + 1, MAX_THRESHOLDS);
                thresholds.push(metric);
            } else {
                if (!_reaches(metric, thresholds[place])) {
                    revert ThresholdLowered(metric.name, thresholds[place].ppm, metric.ppm);
                }
                thresholds[place] = metric;
            }
            emit ThresholdRaised(modelId, metric.name, metric.higherIsBetter, metric.ppm);
        }
    }

    function _price(Model storage model, bytes32 modelId) private view returns (address token, uint256 fee) {
        if (model.flags & HAS_TOKEN == 0) return (address(0), uint256(model.feeGwei) * 1 gwei);
        TokenPrice storage price = _tokenPrices[modelId];
        return (price.token, price.fee);
    }

    /// @dev The place of `name` in `metrics`, or their number if it is not among them.
    function _find(Metric[] storage metrics, bytes23 name) private view returns (bool found, uint256 place) {
        uint256 count = metrics.length;
        while (place < count && metrics[place].name != name) ++place;
        found = place < count;
    }

    function _meetsThresholds(bytes32 modelId, Metric[] calldata metrics) private view returns (bool) {
        Metric[] storage thresholds = _thresholds[modelId];
        uint256 count = thresholds.length;
        for (uint256 i = 0; i < count; ++i) {
            Metric memory threshold = thresholds[i];
            bool met = false;
            for (uint256 j = 0; j < metrics.length && !met; ++j) {
                met = metrics[j].name == threshold.name && _reaches(metrics[j], threshold);
            }
            if (!met) return false;
        }
        return true;
    }

    /// @dev A figure in the other direction reaches nothing.
    function _reaches(Metric memory figure, Metric memory threshold) private pure returns (bool) {
        if (figure.higherIsBetter != threshold.higherIsBetter) return false;
        return threshold.higherIsBetter ? figure.ppm >= threshold.ppm : figure.ppm <= threshold.ppm;
    }

    function _requireAscending(Metric[] calldata metrics) private pure {
        if (metrics.length > MAX_METRICS) revert TooManyMetrics(metrics.length, MAX_METRICS);
        bytes23 previous = 0;
        for (uint256 i = 0; i < metrics.length; ++i) {
            if (metrics[i].name <= previous) revert MetricsNotAscending(i);
            previous = metrics[i].name;
        }
    }

    function _known(bytes32 modelId) private view returns (Model storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert UnknownModel(modelId);
    }

    function _live(bytes32 modelId) private view returns (Model storage model) {
        model = _known(modelId);
        if (model.flags & RETIRED != 0) revert ModelIsRetired(modelId);
    }

    function _requireLiveModelOfCaller(bytes32 modelId) private view {
        address owner = _live(modelId).owner;
        if (owner != msg.sender) revert NotOwner(modelId, owner, msg.sender);
    }

    function _servable(bytes32 modelId, bytes32 versionId) private view returns (VersionState storage state) {
        state = _versions[modelId][versionId];
        VersionStatus status = state.status;
        if (status == VersionStatus.None) revert UnknownVersion(modelId, versionId);
        if (status != VersionStatus.Servable) revert VersionNotServable(versionId, status);
    }
}

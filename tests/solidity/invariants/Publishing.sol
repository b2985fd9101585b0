// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    IModelRegistry,
    Metric,
    ModelTerms,
    Version,
    VersionState,
    VersionStatus
} from "../../../contracts/interfaces/IModelRegistry.sol";
import {vm} from "../market/Vm.sol";

/// @notice Owners who register, publish, raise, retire and hand over.
contract Publishing {
    struct Model {
        bytes32 modelId;
        address owner;
        address offeredTo;
        bool retired;
        uint32 epoch;
        uint32 versions;
        ModelTerms terms;
        bytes32[] versionIds;
    }

    IModelRegistry public immutable registry;
    address[2] public owners = [vm.addr(71), vm.addr(72)];

    Model[] private _models;
    mapping(bytes32 versionId => VersionState) private _states;
    /// @dev The two thresholds: "accuracy", which rises, and "loss", which falls.
    mapping(bytes32 modelId => int64[2]) private _least;
    mapping(bytes32 modelId => bool[2]) private _isSet;
    uint256 private _counter;

    constructor(IModelRegistry registry_) {
        registry = registry_;
    }

    // --- handlers ---------------------------------------------------------------------------------

    function registerModel(uint256 seed, ModelTerms memory terms) external {
        Model storage model = _models.push();
        model.owner = owners[seed % 2];
        _bound(terms);
        model.terms = terms;
        vm.prank(model.owner);
        model.modelId = registry.registerModel(string(abi.encode(++_counter)), terms, new Metric[](0));
    }

    function setTerms(uint256 seed, ModelTerms memory terms) external {
        Model storage model = _live(seed);
        _bound(terms);
        model.terms = terms;
        vm.prank(model.owner);
        registry.setTerms(model.modelId, terms);
    }

    function raiseThresholds(uint256 seed, int64 ppm) external {
        Model storage model = _live(seed);
        Metric[] memory raise = new Metric[](1);
        uint256 which = seed / 16 % 2;
        raise[0] = Metric(_name(which), which == 0, ppm % 100);
        int64 current = _least[model.modelId][which];
        bool isSet = _isSet[model.modelId][which];
        bool rises = !isSet || (which == 0 ? raise[0].ppm >= current : raise[0].ppm <= current);
        if (!rises) {
            vm.prank(model.owner);
            try registry.raiseThresholds(model.modelId, raise) {
                revert("a threshold was lowered");
            } catch {}
            raise[0].ppm = which == 0 ? current + 1 : current - 1;
        }
        vm.prank(model.owner);
        registry.raiseThresholds(model.modelId, raise);
        _least[model.modelId][which] = raise[0].ppm;
        _isSet[model.modelId][which] = true;
    }

    function publishVersion(uint256 seed, int64 accuracy, int64 loss) external {
        _publish(_live(seed), seed, accuracy % 100, loss % 100);
    }

    /// @dev One that is servable; if there is none, one that is published for the purpose.
    function retireVersion(uint256 seed) external {
        Model storage model = _live(seed);
        for (uint256 i = 0; i < model.versionIds.length; ++i) {
            VersionState storage state = _states[model.versionIds[i]];
            if (state.status != VersionStatus.Servable) continue;
            vm.prank(model.owner);
            registry.retireVersion(model.modelId, model.versionIds[i]);
            state.status = VersionStatus.Retired;
            return;
        }
        bytes32 versionId = _publish(model, seed, type(int64).max, type(int64).min);
        vm.prank(model.owner);
        registry.retireVersion(model.modelId, versionId);
        _states[versionId].status = VersionStatus.Retired;
    }

    function retireModel(uint256 seed) external {
        Model storage model = _live(seed);
        vm.prank(model.owner);
        registry.retireModel(model.modelId);
        model.retired = true;
    }

    function offerOwnership(uint256 seed) external {
        Model storage model = _live(seed);
        model.offeredTo = seed & 16 == 0 ? owners[seed / 32 % 2] : address(0);
        vm.prank(model.owner);
        registry.offerOwnership(model.modelId, model.offeredTo);
    }

    function acceptOwnership(uint256 seed) external {
        Model storage model = _live(seed);
        if (model.offeredTo == address(0)) {
            model.offeredTo = owners[seed / 32 % 2];
            vm.prank(model.owner);
            registry.offerOwnership(model.modelId, model.offeredTo);
        }
        vm.prank(model.offeredTo);
        registry.acceptOwnership(model.modelId);
        (model.owner, model.offeredTo) = (model.offeredTo, address(0));
    }

    function setServiceKey(uint256 seed, bytes32 publicKey) external {
        Model storage model = _live(seed);
        vm.prank(model.owner);
        registry.setServiceKey(model.modelId, publicKey == 0 ? bytes32(uint256(1)) : publicKey);
        ++model.epoch;
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + 1 + time % 12 hours);
    }

    // --- reading ----------------------------------------------------------------------------------

    function count() external view returns (uint256) {
        return _models.length;
    }

    function modelAt(uint256 place) external view returns (Model memory) {
        return _models[place];
    }

    function stateOf(bytes32 versionId) external view returns (VersionState memory) {
        return _states[versionId];
    }

    /// @notice The highest that a threshold ever was.
    function leastOf(bytes32 modelId, bytes23 name) external view returns (int64) {
        return _least[modelId][name == _name(0) ? 0 : 1];
    }

    // --- internal ---------------------------------------------------------------------------------

    function _live(uint256 seed) private view returns (Model storage) {
        for (uint256 i = 0; i < _models.length; ++i) {
            Model storage model = _models[(seed % _models.length + i) % _models.length];
            if (!model.retired) return model;
        }
        vm.assume(false);
        return _models[0];
    }

    function _publish(Model storage model, uint256 seed, int64 accuracy, int64 loss)
        private
        returns (bytes32 versionId)
    {
        Version memory version;
        version.modelId = model.modelId;
        version.bundleHash = version.contentHash = version.manifestHash = bytes32(++_counter);
        version.attestor = model.owner;
        version.verifier = address(uint160(seed / 16));
        version.metrics = new Metric[](2);
        version.metrics[0] = Metric(_name(0), true, accuracy);
        version.metrics[1] = Metric(_name(1), false, loss);
        VersionStatus status;
        vm.prank(model.owner);
        (versionId, status) = registry.publishVersion(version, "");

        int64[2] storage least = _least[model.modelId];
        bool[2] storage isSet = _isSet[model.modelId];
        bool met = (!isSet[0] || accuracy >= least[0]) && (!isSet[1] || loss <= least[1]);
        vm.assertTrue(status == (met ? VersionStatus.Servable : VersionStatus.Rejected), "the gate");
        vm.assertEq(versionId, keccak256(abi.encode(version)), "the id is the hash of it all");
        model.versionIds.push(versionId);
        _states[versionId] = VersionState(status, ++model.versions, uint40(block.timestamp), version.verifier);
    }

    function _bound(ModelTerms memory terms) private view {
        terms.token = terms.token < address(2 ** 159) ? address(0) : address(registry);
        terms.fee = terms.token == address(0) ? terms.fee % 2 ** 48 * 1 gwei : terms.fee % 2 ** 96;
        terms.payeeBps %= 10_001;
        if (terms.maxDelay == 0) terms.maxDelay = 1;
    }

    function _name(uint256 which) private pure returns (bytes23) {
        return which == 0 ? bytes23("accuracy") : bytes23("loss");
    }
}

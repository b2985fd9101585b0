// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    Metric,
    ModelState,
    Offer,
    VersionState,
    VersionStatus
} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Deployment} from "../market/Deployment.sol";
import {vm} from "../market/Vm.sol";
import {Publishing} from "./Publishing.sol";

/// @notice What holds of models after every sequence of calls; numbered as in the README beside it.
contract ModelRegistryInvariants is Deployment {
    Publishing private publishing;

    function setUp() public override {
        super.setUp();
        publishing = new Publishing(registry);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(publishing);
    }

    function invariant_modelRegistry() external view {
        for (uint256 i = 0; i < publishing.count(); ++i) {
            Publishing.Model memory model = publishing.modelAt(i);
            _18_thresholdsNeverFall(model);
            _19_aModelIsAsItsOwnerLeftIt(model);
            for (uint256 j = 0; j < model.versionIds.length; ++j) {
                _20_aVersionNeverChangesButToRetire(model, model.versionIds[j]);
                _21_whatIsServableIsQuotedAndNothingElse(model, model.versionIds[j]);
            }
        }
    }

    function _18_thresholdsNeverFall(Publishing.Model memory model) private view {
        Metric[] memory least = registry.thresholdsOf(model.modelId);
        for (uint256 i = 0; i < least.length; ++i) {
            vm.assertEq(least[i].ppm, publishing.leastOf(model.modelId, least[i].name), "18 threshold");
            vm.assertEq(least[i].higherIsBetter, least[i].name == "accuracy", "18 direction");
        }
    }

    function _19_aModelIsAsItsOwnerLeftIt(Publishing.Model memory model) private view {
        ModelState memory state = registry.modelOf(model.modelId);
        vm.assertEq(state.owner, model.owner, "19 owner");
        vm.assertEq(state.retired, model.retired, "19 retired");
        vm.assertEq(state.versions, model.versions, "19 versions");
        vm.assertEq(keccak256(abi.encode(state.terms)), keccak256(abi.encode(model.terms)), "19 terms");
        vm.assertEq(registry.pendingOwnerOf(model.modelId), model.offeredTo, "19 offered to");
        vm.assertEq(registry.serviceKeyOf(model.modelId).epoch, model.epoch, "19 epoch");
    }

    function _20_aVersionNeverChangesButToRetire(Publishing.Model memory model, bytes32 versionId) private view {
        VersionState memory state = registry.versionOf(model.modelId, versionId);
        vm.assertEq(keccak256(abi.encode(state)), keccak256(abi.encode(publishing.stateOf(versionId))), "20 version");
    }

    function _21_whatIsServableIsQuotedAndNothingElse(Publishing.Model memory model, bytes32 versionId) private view {
        bool servable = !model.retired && publishing.stateOf(versionId).status == VersionStatus.Servable;
        try registry.quote(model.modelId, versionId) returns (Offer memory offer, uint256 maxDelay, bool open) {
            vm.assertTrue(servable, "21 quoted");
            vm.assertEq(offer.owner, model.owner, "21 owner");
            vm.assertEq(offer.fee, model.terms.fee, "21 fee");
            vm.assertEq(offer.payee, model.terms.payee == address(0) ? model.owner : model.terms.payee, "21 payee");
            vm.assertEq(maxDelay, model.terms.maxDelay, "21 maxDelay");
            vm.assertEq(open, model.terms.open, "21 open");
        } catch {
            vm.assertTrue(!servable, "21 not quoted");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Metric, ModelTerms, Version, VersionStatus} from "../../../contracts/interfaces/IModelRegistry.sol";
import {vm} from "../market/Vm.sol";
import {Stage} from "./Stage.sol";

/// @notice Prices, thresholds and the gate, for all figures.
contract ModelsProof is Stage {
    bytes23 private constant ACCURACY = "accuracy";

    function check_aPriceInATokenIsKeptToTheUnitOrRefused(uint256 fee) external {
        ModelTerms memory terms = _terms();
        (terms.token, terms.fee) = (address(dataShare), fee);
        (bool registered, bytes32 modelId) = _registers(terms, new Metric[](0));
        assert(registered == (fee <= type(uint96).max));
        if (registered) assert(registry.modelOf(modelId).terms.fee == fee);
    }

    function check_noShareIsMoreThanTheWhole(uint16 payeeBps) external {
        ModelTerms memory terms = _terms();
        terms.payeeBps = payeeBps;
        (bool registered,) = _registers(terms, new Metric[](0));
        assert(registered == (payeeBps <= 10_000));
    }

    function check_aThresholdOnlyRises(int64 first, int64 second, bool higherIsBetter) external {
        (, bytes32 modelId) = _registers(_terms(), _figure(first, higherIsBetter));
        vm.prank(OWNER);
        (bool raised,) = address(registry).call(
            abi.encodeCall(registry.raiseThresholds, (modelId, _figure(second, higherIsBetter)))
        );
        assert(raised == (higherIsBetter ? second >= first : second <= first));
    }

    function check_aVersionIsServableIfItReachesTheThreshold(int64 threshold, int64 figure, bool higherIsBetter)
        external
    {
        (, bytes32 modelId) = _registers(_terms(), _figure(threshold, higherIsBetter));
        Version memory version = _version(modelId);
        version.metrics = _figure(figure, higherIsBetter);
        vm.prank(OWNER);
        (, VersionStatus status) = registry.publishVersion(version, "");
        bool reached = higherIsBetter ? figure >= threshold : figure <= threshold;
        assert(status == (reached ? VersionStatus.Servable : VersionStatus.Rejected));
    }

    function check_onlyItsOwnerChangesAModel(address caller) external {
        (, bytes32 modelId) = _registers(_terms(), new Metric[](0));
        vm.prank(caller);
        (bool changed,) = address(registry).call(abi.encodeCall(registry.retireModel, (modelId)));
        assert(changed == (caller == OWNER));
    }

    function check_aNameIsEveryOwnersOwn(address first, address second) external view {
        bool same = registry.modelIdOf(first, "model") == registry.modelIdOf(second, "model");
        assert(same == (first == second));
    }

    function _figure(int64 ppm, bool higherIsBetter) private pure returns (Metric[] memory metrics) {
        metrics = new Metric[](1);
        metrics[0] = Metric(ACCURACY, higherIsBetter, ppm);
    }
}

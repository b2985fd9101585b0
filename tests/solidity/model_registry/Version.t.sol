// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    IModelRegistry,
    Metric,
    Version,
    VersionState,
    VersionStatus
} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Signer} from "../actors/Signer.sol";
import {Digests} from "../market/Digests.sol";
import {Listing, Market} from "../market/Market.sol";
import {SignatureRefusals} from "../market/SignatureRefusals.sol";
import {vm} from "../market/Vm.sol";

contract VersionTest is Market, SignatureRefusals {
    function testFuzz_aVersionIsKnownByTheHashOfAllOfIt(
        bytes32[6] memory hashes,
        address judge,
        uint40 moment,
        string memory uri,
        uint256 metrics
    ) external {
        for (uint256 i = 0; i < 3; ++i) {
            if (hashes[i] == 0) hashes[i] = bytes32(uint256(1));
        }
        Version memory version = Version({
            modelId: _register(),
            bundleHash: hashes[0],
            contentHash: hashes[1],
            manifestHash: hashes[2],
            programHash: hashes[3],
            evaluationHash: hashes[4],
            verifier: judge,
            verifierSettings: hashes[5],
            attestor: owner,
            metrics: _metrics(metrics % 17, 1),
            uri: uri
        });
        vm.warp(moment);
        bytes32 expected = keccak256(abi.encode(version));
        vm.assertEq(registry.versionIdOf(version), expected, "versionIdOf");
        _announces(address(registry));
        emit IModelRegistry.VersionPublished(version.modelId, expected, 1, VersionStatus.Servable, version);
        (bytes32 versionId, VersionStatus status) = _publish(version);

        vm.assertTrue(versionId == expected && status == VersionStatus.Servable, "returned");
        VersionState memory state = registry.versionOf(version.modelId, versionId);
        vm.assertTrue(state.status == VersionStatus.Servable && state.number == 1, "state");
        vm.assertEq(state.publishedAt, moment, "publishedAt");
        vm.assertEq(state.verifier, judge, "verifier");

        _refuses(
            abi.encodeWithSelector(IModelRegistry.VersionExists.selector, versionId, VersionStatus.Servable)
        );
        _publish(version);
    }

    function testFuzz_versionsAreNumberedRejectedOnesToo(uint256 rejected) external {
        bytes32 modelId = _register(_terms(), _metrics(1, 500));
        for (uint32 i = 1; i <= 5; ++i) {
            Version memory version = _version(modelId);
            version.programHash = bytes32(uint256(i));
            bool misses = rejected >> i & 1 != 0;
            version.metrics = _metrics(1, misses ? int64(499) : int64(500));
            (bytes32 versionId, VersionStatus status) = _publish(version);
            vm.assertTrue(status == (misses ? VersionStatus.Rejected : VersionStatus.Servable), "status");
            vm.assertEq(registry.versionOf(modelId, versionId).number, i, "number");
            vm.assertEq(registry.modelOf(modelId).versions, i, "versions");
        }
    }

    function test_hashesAreNotZero() external {
        for (uint256 i = 0; i < 3; ++i) {
            Version memory version = _version(_register());
            if (i == 0) version.bundleHash = 0;
            if (i == 1) version.contentHash = 0;
            if (i == 2) version.manifestHash = 0;
            _refuses(abi.encodeWithSelector(IModelRegistry.HashIsZero.selector));
            _publish(version);
        }
    }

    function testFuzz_metricsAscendByName(uint256 count, uint256 index, bytes23 name) external {
        count = 1 + count % 16;
        index %= count;
        Version memory version = _version(_register());
        version.metrics = _metrics(count, 1);
        version.metrics[index].name = name;
        for (uint256 i = 0; i < count; ++i) {
            if (version.metrics[i].name > (i == 0 ? bytes23(0) : version.metrics[i - 1].name)) continue;
            _refuses(abi.encodeWithSelector(IModelRegistry.MetricsNotAscending.selector, i));
            break;
        }
        _publish(version);
    }

    function test_noMetricComesTwice() external {
        Version memory version = _version(_register());
        version.metrics = _metrics(2, 1);
        version.metrics[1].name = version.metrics[0].name;
        _refuses(abi.encodeWithSelector(IModelRegistry.MetricsNotAscending.selector, 1));
        _publish(version);
        version.metrics = _metrics(1, 1);
        version.metrics[0].name = 0;
        _refuses(abi.encodeWithSelector(IModelRegistry.MetricsNotAscending.selector, 0));
        _publish(version);
    }

    function test_aVersionHasAtMost16Metrics() external {
        Version memory version = _version(_register());
        version.metrics = _metrics(17, 1);
        _refuses(abi.encodeWithSelector(IModelRegistry.TooManyMetrics.selector, 17, 16));
        _publish(version);
        version.metrics = _metrics(16, 1);
        _publish(version);
    }

    // --- attestation ------------------------------------------------------------------------------

    function test_anOwnerVouchesByPublishingAndSignsNothing() external {
        Version memory version = _version(_register());
        bytes32 digest = Digests.ofAttestation(address(registry), version.modelId, keccak256(abi.encode(version)));
        bytes memory signature = _sign(OWNER_KEY, digest);
        _refuses(abi.encodeWithSelector(IModelRegistry.AttestationNotEmpty.selector, 65));
        vm.prank(owner);
        registry.publishVersion(version, signature);
    }

    function testFuzz_anEvaluatorVouchesByItsSignature(uint256 kind, uint256 salt) external {
        (Version memory version, bytes32 digest) = _attested(evaluator);
        vm.assertEq(
            registry.attestationDigest(version.modelId, keccak256(abi.encode(version))), digest, "attestationDigest"
        );
        (bytes memory signature, bytes memory refusal) = _badSignature(EVALUATOR_KEY, digest, kind, salt);
        _refuses(refusal);
        vm.prank(owner);
        registry.publishVersion(version, signature);

        vm.prank(owner);
        registry.publishVersion(version, _sign(EVALUATOR_KEY, digest));
    }

    function testFuzz_anEvaluatorThatIsAContractVouchesByItsAnswer(uint256 word) external {
        Signer account = new Signer();
        (Version memory version, bytes32 digest) = _attested(address(account));
        bytes memory refusal = _misspeak(account, word);
        vm.prank(owner);
        (bool taken, bytes memory reason) =
            address(registry).call{gas: 20_000_000}(abi.encodeCall(registry.publishVersion, (version, hex"01")));
        vm.assertTrue(!taken, "taken");
        vm.assertEq(reason, refusal, "reason");
        account.sign(digest, hex"01");
        vm.prank(owner);
        registry.publishVersion(version, hex"01");
    }

    function test_nobodyVouchesAsTheZeroAddress() external {
        (Version memory version,) = _attested(address(0));
        _refuses(abi.encodeWithSignature("SignerIsZero()"));
        _publish(version);
    }

    function testFuzz_anAttestationIsOfOneVersionOfOneModelHere(bytes32 modelId, bytes32 versionId, uint64 chain)
        external
    {
        (Version memory version, bytes32 digest) = _attested(evaluator);
        bytes32 actual = keccak256(abi.encode(version));
        vm.assume(modelId != version.modelId && versionId != actual && chain != 0 && chain != block.chainid);
        bytes32[3] memory others = [
            Digests.ofAttestation(address(registry), modelId, actual),
            Digests.ofAttestation(address(registry), version.modelId, versionId),
            Digests.ofAttestation(address(escrow), version.modelId, actual)
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            _refusesSigner(version, _sign(EVALUATOR_KEY, others[i]));
        }
        uint256 home = block.chainid;
        vm.chainId(chain);
        _refusesSigner(version, _sign(EVALUATOR_KEY, digest));
        vm.chainId(home);
    }

    // --- the gate ---------------------------------------------------------------------------------

    /// @dev Thresholds and metrics of few names and figures, so that they meet in every way.
    function testFuzz_aVersionIsServableIfItReachesEveryThreshold(uint256 thresholds, uint256 figures) external {
        Metric[] memory least = new Metric[](thresholds % 4);
        for (uint256 i = 0; i < least.length; ++i) {
            uint256 bits = thresholds >> 8 * (i + 1);
            least[i] = Metric(_name(i * 2 + (bits & 1)), bits & 2 != 0, int64(int256(bits >> 2 & 3)) - 2);
        }
        Metric[] memory metrics = new Metric[](figures % 9);
        for (uint256 i = 0; i < metrics.length; ++i) {
            uint256 bits = figures >> 8 * (i + 1);
            metrics[i] = Metric(_name(i), bits & 1 != 0, int64(int256(bits >> 1 & 3)) - 2);
        }
        Version memory version = _version(_register(_terms(), least));
        version.metrics = metrics;
        (bytes32 versionId, VersionStatus status) = _publish(version);

        bool met = true;
        for (uint256 i = 0; i < least.length; ++i) {
            bool found = false;
            for (uint256 j = 0; j < metrics.length; ++j) {
                if (metrics[j].name != least[i].name || metrics[j].higherIsBetter != least[i].higherIsBetter) continue;
                found = least[i].higherIsBetter ? metrics[j].ppm >= least[i].ppm : metrics[j].ppm <= least[i].ppm;
            }
            met = met && found;
        }
        vm.assertTrue(status == (met ? VersionStatus.Servable : VersionStatus.Rejected), "status");
        if (!met) {
            _refuses(
                abi.encodeWithSelector(
                    IModelRegistry.VersionNotServable.selector, versionId, VersionStatus.Rejected
                )
            );
        }
        registry.quote(version.modelId, versionId);
    }

    function testFuzz_aThresholdOnlyRises(int64 first, int64 second, bool higherIsBetter, bool flip) external {
        bytes32 modelId = _register();
        Metric[] memory raise = new Metric[](1);
        raise[0] = Metric("accuracy", higherIsBetter, first);
        _announces(address(registry));
        emit IModelRegistry.ThresholdRaised(modelId, "accuracy", higherIsBetter, first);
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);

        raise[0] = Metric("accuracy", higherIsBetter != flip, second);
        bool rises = !flip && (higherIsBetter ? second >= first : second <= first);
        if (!rises) {
            _refuses(abi.encodeWithSelector(IModelRegistry.ThresholdLowered.selector, bytes23("accuracy"), first, second));
        } else {
            _announces(address(registry));
            emit IModelRegistry.ThresholdRaised(modelId, "accuracy", higherIsBetter, second);
        }
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);
        Metric[] memory least = registry.thresholdsOf(modelId);
        vm.assertEq(least.length, 1, "one threshold");
        vm.assertEq(int256(least[0].ppm), rises ? second : first, "ppm");
        vm.assertEq(least[0].higherIsBetter, higherIsBetter, "direction");
    }

    function test_thresholdsOfSeveralNamesAreKeptApart() external {
        bytes32 modelId = _register(_terms(), _metrics(3, 10));
        Metric[] memory raise = new Metric[](2);
        raise[0] = Metric(_name(2), true, 12);
        raise[1] = Metric(_name(0), true, 11);
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);
        Metric[] memory least = registry.thresholdsOf(modelId);
        int64[3] memory expected = [int64(11), 10, 12];
        vm.assertEq(least.length, 3, "three");
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(least[i].name, _name(i), "name");
            vm.assertEq(least[i].ppm, expected[i], "ppm");
        }
    }

    function test_aModelHasAtMostEightNamedThresholds() external {
        bytes32 modelId = _register(_terms(), _metrics(8, 1));
        Metric[] memory raise = new Metric[](1);
        raise[0] = Metric("zzz", true, 1);
        _refuses(abi.encodeWithSelector(IModelRegistry.TooManyMetrics.selector, 9, 8));
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);
        raise[0] = Metric(_name(7), true, 2);
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);

        raise = _metrics(2, 3);
        raise[1].name = 0;
        _refuses(abi.encodeWithSelector(IModelRegistry.MetricsNotAscending.selector, 1));
        vm.prank(owner);
        registry.raiseThresholds(modelId, raise);
    }

    function test_raisingThresholdsLeavesWhatWasPublished() external {
        Listing memory listing = _list();
        vm.prank(owner);
        registry.raiseThresholds(listing.modelId, _metrics(1, 1));
        registry.quote(listing.modelId, listing.versionId);
        Version memory version = _version(listing.modelId);
        version.programHash = keccak256("another");
        (, VersionStatus status) = _publish(version);
        vm.assertTrue(status == VersionStatus.Rejected, "a later version");
    }

    // --- retiring ---------------------------------------------------------------------------------

    function test_aVersionIsRetiredOnceAndForAll() external {
        Listing memory listing = _list();
        _announces(address(registry));
        emit IModelRegistry.VersionRetired(listing.modelId, listing.versionId);
        vm.startPrank(owner);
        registry.retireVersion(listing.modelId, listing.versionId);
        VersionState memory state = registry.versionOf(listing.modelId, listing.versionId);
        vm.assertTrue(state.status == VersionStatus.Retired && state.number == 1, "state");

        bytes memory refusal = abi.encodeWithSelector(
            IModelRegistry.VersionNotServable.selector, listing.versionId, VersionStatus.Retired
        );
        _refuses(refusal);
        registry.quote(listing.modelId, listing.versionId);
        _refuses(refusal);
        registry.retireVersion(listing.modelId, listing.versionId);
        _refuses(
            abi.encodeWithSelector(
                IModelRegistry.VersionExists.selector, listing.versionId, VersionStatus.Retired
            )
        );
        registry.publishVersion(_version(listing.modelId), "");
        vm.stopPrank();
    }

    function testFuzz_aVersionIsOneOfItsOwnModelOnly(bytes32 versionId) external {
        Listing memory listing = _list();
        Listing memory other = _list();
        vm.assume(versionId != listing.versionId);
        vm.assertTrue(registry.versionOf(listing.modelId, versionId).status == VersionStatus.None, "none");
        bytes32[2] memory unknown = [versionId, other.versionId];
        for (uint256 i = 0; i < unknown.length; ++i) {
            bytes memory refusal =
                abi.encodeWithSelector(IModelRegistry.UnknownVersion.selector, listing.modelId, unknown[i]);
            _refuses(refusal);
            registry.quote(listing.modelId, unknown[i]);
            _refuses(refusal);
            vm.prank(owner);
            registry.retireVersion(listing.modelId, unknown[i]);
        }
    }

    function _publish(Version memory version) private returns (bytes32, VersionStatus) {
        vm.prank(owner);
        return registry.publishVersion(version, "");
    }

    function _attested(address attestor) private returns (Version memory version, bytes32 digest) {
        version = _version(_register());
        version.attestor = attestor;
        digest = Digests.ofAttestation(address(registry), version.modelId, keccak256(abi.encode(version)));
    }

    function _metrics(uint256 count, int64 ppm) private pure returns (Metric[] memory metrics) {
        metrics = new Metric[](count);
        for (uint256 i = 0; i < count; ++i) {
            metrics[i] = Metric(_name(i), true, ppm);
        }
    }

    function _name(uint256 place) private pure returns (bytes23) {
        return bytes23(bytes1(uint8(65 + place)));
    }

    function _refusesSigner(Version memory version, bytes memory attestation) private {
        vm.prank(owner);
        try registry.publishVersion(version, attestation) {
            revert("it was taken for attested");
        } catch (bytes memory reason) {
            vm.assertEq(bytes4(reason), bytes4(keccak256("WrongSigner(address,address)")), "reason");
        }
    }
}

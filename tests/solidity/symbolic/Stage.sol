// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {DataShare} from "../../../contracts/DataShare.sol";
import {InferenceEscrow} from "../../../contracts/InferenceEscrow.sol";
import {ModelRegistry} from "../../../contracts/ModelRegistry.sol";
import {GrantTerms} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow, Query, Request} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Metric, ModelTerms, Offer, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {vm} from "../market/Vm.sol";

/// @notice The three contracts, and people with fixed addresses.
abstract contract Stage {
    uint256 internal constant START = 1_800_000_000;
    uint8 internal constant READ = 1;
    uint8 internal constant INFER = 2;
    uint8 internal constant SERVE = 4;
    uint24 internal constant UNLIMITED = type(uint24).max;
    uint40 internal constant NEVER = type(uint40).max;
    uint24 internal constant MAX_DELAY = 1 days;
    uint256 internal constant FEE = 1_000_003 gwei;

    address internal constant OWNER = address(0xa1);
    address internal constant REQUESTER = address(0xa2);
    address internal constant WORKER = address(0xa3);
    address internal constant PAYEE = address(0xa4);
    address internal constant VERIFIER = address(0xa5);

    DataShare internal dataShare;
    ModelRegistry internal registry;
    InferenceEscrow internal escrow;

    function setUp() public {
        vm.warp(START);
        dataShare = new DataShare();
        registry = new ModelRegistry();
        escrow = new InferenceEscrow(dataShare, registry);
    }

    function _grant(address grantee, bytes32 resource, GrantTerms memory terms) internal returns (bool granted) {
        vm.prank(OWNER);
        (granted,) = address(dataShare).call(abi.encodeCall(dataShare.grant, (grantee, resource, terms, "")));
    }

    function _terms() internal pure returns (ModelTerms memory) {
        return ModelTerms({
            fee: FEE,
            token: address(0),
            payee: PAYEE,
            payeeBps: 3_333,
            maxDelay: MAX_DELAY,
            open: true
        });
    }

    function _registers(ModelTerms memory terms, Metric[] memory thresholds)
        internal
        returns (bool registered, bytes32 modelId)
    {
        modelId = registry.modelIdOf(OWNER, "model");
        vm.prank(OWNER);
        (registered,) =
            address(registry).call(abi.encodeCall(registry.registerModel, ("model", terms, thresholds)));
    }

    function _version(bytes32 modelId) internal pure returns (Version memory version) {
        version.modelId = modelId;
        version.bundleHash = bytes32(uint256(1));
        version.contentHash = bytes32(uint256(2));
        version.manifestHash = bytes32(uint256(3));
        version.attestor = OWNER;
    }

    /// @dev An open model with a servable version, which WORKER serves.
    function _list(ModelTerms memory terms, address verifier) internal returns (Offer memory offer) {
        (bool registered, bytes32 modelId) = _registers(terms, new Metric[](0));
        vm.assume(registered);
        Version memory version = _version(modelId);
        version.verifier = verifier;
        vm.prank(OWNER);
        (bytes32 versionId,) = registry.publishVersion(version, "");
        _grant(WORKER, modelId, GrantTerms(SERVE, NEVER, 0, address(0)));
        (offer,,) = registry.quote(modelId, versionId);
    }

    function _request(uint40 deadline) internal pure returns (Request memory terms) {
        terms = Request({
            requester: REQUESTER,
            payer: REQUESTER,
            query: Query(address(0), bytes32(uint256(7)), 0, deadline, 0, 0)
        });
    }

    /// @dev Whether REQUESTER's request with that value is taken.
    function _places(Offer memory offer, Request memory terms, uint256 value) internal returns (bool placed) {
        vm.deal(REQUESTER, type(uint128).max);
        vm.prank(REQUESTER);
        (placed,) = address(escrow).call{value: value}(
            abi.encodeCall(escrow.request, (offer.modelId, offer.versionId, terms.query, ""))
        );
    }

    function _calls(address by, bytes memory data) internal returns (bool succeeded) {
        vm.prank(by);
        (succeeded,) = address(escrow).call(data);
    }

    function _fulfils(Offer memory offer, Request memory terms) internal returns (bool) {
        return _calls(WORKER, abi.encodeCall(IInferenceEscrow.fulfil, (offer, terms, bytes32(uint256(9)), "")));
    }

    function _refunds(bytes32 id) internal returns (bool) {
        return _calls(WORKER, abi.encodeCall(IInferenceEscrow.refund, (id)));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {Query, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Metric, ModelTerms, Offer, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {Deployment} from "./Deployment.sol";
import {Digests} from "./Digests.sol";
import {vm} from "./Vm.sol";

/// @dev A model and its servable version.
struct Listing {
    bytes32 modelId;
    bytes32 versionId;
}

/// @dev A request with all its terms.
struct Placed {
    bytes32 id;
    Offer offer;
    Request terms;
}

/// @notice The contracts and the people who use them, with valid terms to start from.
abstract contract Market is Deployment {
    uint8 internal constant READ = 1;
    uint8 internal constant INFER = 2;
    uint8 internal constant SERVE = 4;
    uint24 internal constant UNLIMITED = type(uint24).max;
    uint40 internal constant NEVER = type(uint40).max;
    address internal constant ETH = address(0);
    uint256 internal constant FEE = 1_000_003 gwei;
    bytes internal constant INPUT = hex"00aa";
    bytes internal constant OUTPUT = hex"00bb";
    bytes32 internal constant COMMITMENT = keccak256("commitment");

    uint256 internal constant OWNER_KEY = 1;
    uint256 internal constant REQUESTER_KEY = 2;
    uint256 internal constant EVALUATOR_KEY = 3;

    address internal immutable owner = vm.addr(OWNER_KEY);
    address internal immutable requester = vm.addr(REQUESTER_KEY);
    address internal immutable evaluator = vm.addr(EVALUATOR_KEY);
    address internal immutable worker = vm.addr(4);
    address internal immutable otherWorker = vm.addr(5);
    address internal immutable payee = vm.addr(6);
    address internal immutable sponsor = vm.addr(7);
    address internal immutable outsider = vm.addr(8);
    address internal immutable verifier = vm.addr(9);

    Coin internal coin;
    uint256 private _models;
    uint256 private _queries;

    function setUp() public virtual override {
        super.setUp();
        coin = new Coin();
        address[2] memory payers = [requester, sponsor];
        for (uint256 i = 0; i < payers.length; ++i) {
            vm.deal(payers[i], type(uint128).max);
            _fund(payers[i], coin);
        }
    }

    function _fund(address payer, Coin currency) internal {
        currency.mint(payer, type(uint128).max);
        vm.prank(payer);
        currency.approve(address(escrow), type(uint256).max);
    }

    // --- models -----------------------------------------------------------------------------------

    function _terms() internal view returns (ModelTerms memory) {
        return ModelTerms({fee: FEE, token: ETH, payee: payee, payeeBps: 3_333, maxDelay: 1 days, open: false});
    }

    function _register(ModelTerms memory terms, Metric[] memory thresholds) internal returns (bytes32 modelId) {
        vm.prank(owner);
        return registry.registerModel(string(abi.encode(++_models)), terms, thresholds);
    }

    function _register() internal returns (bytes32 modelId) {
        return _register(_terms(), new Metric[](0));
    }

    function _version(bytes32 modelId) internal view returns (Version memory version) {
        version.modelId = modelId;
        version.bundleHash = keccak256("bundle");
        version.contentHash = keccak256("content");
        version.manifestHash = keccak256("manifest");
        version.attestor = owner;
        version.uri = "file:///store";
    }

    /// @dev A model by these terms, which `worker` and `otherWorker` serve and `requester` may ask ten times.
    function _list(ModelTerms memory terms, address judge) internal returns (Listing memory listing) {
        listing.modelId = _register(terms, new Metric[](0));
        Version memory version = _version(listing.modelId);
        version.verifier = judge;
        vm.prank(owner);
        (listing.versionId,) = registry.publishVersion(version, "");
        _grantServe(listing.modelId, worker);
        _grantServe(listing.modelId, otherWorker);
        _grantInfer(listing.modelId, requester, 10);
    }

    function _list() internal returns (Listing memory) {
        return _list(_terms(), address(0));
    }

    function _listInCoin() internal returns (Listing memory) {
        ModelTerms memory terms = _terms();
        terms.token = address(coin);
        return _list(terms, address(0));
    }

    // --- grants -----------------------------------------------------------------------------------

    function _grantServe(bytes32 modelId, address grantee) internal {
        vm.prank(owner);
        dataShare.grant(grantee, modelId, GrantTerms({rights: SERVE, expiry: NEVER, uses: 0, meter: address(0)}), "");
    }

    function _grantInfer(bytes32 modelId, address grantee, uint24 uses) internal {
        vm.prank(owner);
        dataShare.grant(
            grantee, modelId, GrantTerms({rights: INFER, expiry: NEVER, uses: uses, meter: address(escrow)}), ""
        );
    }

    // --- requests ---------------------------------------------------------------------------------

    /// @dev For anyone, in clear, within an hour; never the same twice.
    function _query() internal returns (Query memory query) {
        query.inputHash = keccak256(abi.encode("input", ++_queries));
        query.deadline = uint40(block.timestamp + 1 hours);
    }

    function _place(Listing memory listing, Query memory query) internal returns (Placed memory placed) {
        return _placeBy(requester, listing, query);
    }

    function _place(Listing memory listing) internal returns (Placed memory placed) {
        return _place(listing, _query());
    }

    function _placeBy(address by, Listing memory listing, Query memory query) internal returns (Placed memory placed) {
        (placed.offer,,) = registry.quote(listing.modelId, listing.versionId);
        placed.terms = Request({requester: by, payer: by, query: query});
        uint256 value = placed.offer.token == ETH ? placed.offer.fee : 0;
        vm.prank(by);
        placed.id = escrow.request{value: value}(listing.modelId, listing.versionId, query, INPUT);
    }

    /// @dev The digest of a request that need not exist.
    function _idOf(Offer memory offer, Request memory terms) internal view returns (bytes32) {
        return Digests.ofRequest(address(escrow), offer, terms);
    }

    function _fulfil(Placed memory placed) internal {
        vm.prank(worker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
    }

    function _statusOf(bytes32 id) internal view returns (RequestStatus status) {
        (status,) = escrow.resultOf(id);
    }

    // --- signing and checking ---------------------------------------------------------------------

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _within(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return value >= least && value <= most ? value : least + value % (most - least + 1);
    }

    /// @dev The next call must revert with exactly this.
    function _refuses(bytes memory reason) internal {
        vm.expectRevert(reason);
    }

    function _refusesAccess(address grantee, bytes32 resource, Access reason) internal {
        _refusesAccess(grantee, resource, INFER, reason);
    }

    function _refusesAccess(address grantee, bytes32 resource, uint8 right, Access reason) internal {
        _refuses(abi.encodeWithSelector(IDataShare.AccessDenied.selector, owner, grantee, resource, right, reason));
    }

    /// @dev The next call must emit, from `emitter`, the event that the test emits next.
    function _announces(address emitter) internal {
        vm.expectEmit(true, true, true, true, emitter);
    }
}

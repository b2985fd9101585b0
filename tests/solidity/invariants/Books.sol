// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Metric, ModelTerms, Offer, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {HookedCoin} from "../actors/HookedCoin.sol";
import {HostileAccount} from "../actors/HostileAccount.sol";
import {HostileCoin, Mischief} from "../actors/HostileCoin.sol";
import {Signer} from "../actors/Signer.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";

/// @dev A request as the specification says it stands.
/// @param deadline While held, the end of the hold.
/// @param distributed By how much all the accounts together grew when it ended.
struct Entry {
    Offer offer;
    Request terms;
    RequestStatus status;
    bytes31 commitment;
    uint40 deadline;
    uint256 deposited;
    uint256 distributed;
}

/// @dev A grant as the specification says it stands.
/// @param granted What `uses` began with.
struct Allowance {
    uint8 rights;
    uint40 expiry;
    uint24 uses;
    uint24 granted;
    uint24 generation;
}

/// @dev A model as it is offered.
struct Shelf {
    bytes32 modelId;
    bytes32 versionId;
    address owner;
    address judge;
    ModelTerms terms;
}

/// @notice Who trades, and a second set of books beside the contracts' own, kept by the specification.
abstract contract Books {
    uint8 internal constant INFER = 2;
    uint8 internal constant SERVE = 4;
    uint40 internal constant NEVER = type(uint40).max;
    address internal constant ETH = address(0);

    IDataShare public immutable dataShare;
    IModelRegistry public immutable registry;
    IInferenceEscrow public immutable escrow;

    uint256 internal constant ALICE_KEY = 21;
    uint256 internal constant BOB_KEY = 22;
    address public immutable alice = vm.addr(ALICE_KEY);
    address public immutable bob = vm.addr(BOB_KEY);
    address public immutable judge = vm.addr(23);
    HostileAccount public immutable consumer = new HostileAccount();
    HostileAccount public immutable refuser = new HostileAccount();
    Signer public immutable wallet = new Signer();

    address[] public owners;
    address[] public requesters;
    address[] public workers;
    /// @notice All of them, each once.
    address[] public accounts;
    /// @notice Ether; an exact token; one that returns nothing; one that calls its holders.
    address[] public currencies;

    Shelf[] internal shelves;
    bytes32[] public ids;
    mapping(bytes32 id => Entry) internal entries;
    mapping(address token => mapping(address account => uint256)) public credit;
    mapping(address token => uint256) public forced;
    mapping(address owner => mapping(address grantee => mapping(bytes32 modelId => Allowance))) internal allowances;
    mapping(address owner => mapping(address grantee => uint24)) internal generations;

    uint256 internal counter;

    constructor(IDataShare dataShare_, IModelRegistry registry_, IInferenceEscrow escrow_) {
        (dataShare, registry, escrow) = (dataShare_, registry_, escrow_);
        owners = [vm.addr(31), vm.addr(32)];
        requesters = [alice, bob, address(consumer), address(wallet)];
        // one of them asks as well, and may answer its own requests
        workers = [vm.addr(41), vm.addr(42), bob];
        accounts = [
            owners[0],
            owners[1],
            alice,
            bob,
            address(consumer),
            address(wallet),
            workers[0],
            workers[1],
            address(refuser),
            vm.addr(51)
        ];
        HostileCoin silent = new HostileCoin();
        silent.misbehave(Mischief.ReturnNothing);
        currencies = [ETH, address(new Coin()), address(silent), address(new HookedCoin())];
        for (uint256 i = 0; i < requesters.length; ++i) {
            for (uint256 j = 1; j < currencies.length; ++j) {
                vm.prank(requesters[i]);
                Coin(currencies[j]).approve(address(escrow), type(uint256).max);
            }
        }
        for (uint256 i = 0; i < 6; ++i) {
            _open(owners[i % 2], i < 4 ? address(0) : judge, uint256(keccak256(abi.encode(i))), i % 4);
        }
    }

    // --- reading ----------------------------------------------------------------------------------

    function entryOf(bytes32 id) external view returns (Entry memory) {
        return entries[id];
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function allAccounts() external view returns (address[] memory) {
        return accounts;
    }

    function allCurrencies() external view returns (address[] memory) {
        return currencies;
    }

    function allShelves() external view returns (Shelf[] memory) {
        return shelves;
    }

    function allowanceOf(address owner, address grantee, bytes32 modelId) external view returns (Allowance memory) {
        return allowances[owner][grantee][modelId];
    }

    /// @notice Whether a grant is live, as the owner's deeds have left it.
    function may(address owner, address grantee, bytes32 modelId, uint8 right) public view returns (bool) {
        if (owner == grantee && right == INFER) return true;
        Allowance memory allowance = allowances[owner][grantee][modelId];
        return allowance.rights & right != 0 && allowance.generation == generations[owner][grantee]
            && block.timestamp <= allowance.expiry && (right != INFER || allowance.uses != 0);
    }

    /// @notice Somebody who could answer the request now; zero if there is nobody.
    function eligibleWorker(bytes32 id, uint256 seed) public view returns (address) {
        Entry storage entry = entries[id];
        address named = entry.terms.query.worker;
        for (uint256 i = 0; i < workers.length; ++i) {
            address worker = workers[(i + seed % 8) % workers.length];
            if (named != address(0) && named != worker) continue;
            if (may(entry.offer.owner, worker, entry.offer.modelId, SERVE)) return worker;
        }
        return address(0);
    }

    function isOpen(bytes32 id) public view returns (bool) {
        RequestStatus status = entries[id].status;
        return status == RequestStatus.Open || status == RequestStatus.OpenErc20;
    }

    function isHeld(bytes32 id) public view returns (bool) {
        RequestStatus status = entries[id].status;
        return status == RequestStatus.Held || status == RequestStatus.HeldErc20;
    }

    /// @notice All that the accounts have and are owed in a currency.
    function wealth(address token) public view returns (uint256 sum) {
        for (uint256 i = 0; i < accounts.length; ++i) {
            sum += escrow.creditOf(token, accounts[i]);
            sum += token == ETH ? accounts[i].balance : Coin(token).balanceOf(accounts[i]);
        }
    }

    // --- models and grants ------------------------------------------------------------------------

    function _terms(uint256 seed, uint256 currency) internal view returns (ModelTerms memory) {
        address[3] memory payees = [address(0), address(refuser), vm.addr(51)];
        return ModelTerms({
            fee: seed % 7 == 0 ? 0 : 1 + seed % 1e6,
            token: currencies[currency % 4],
            payee: payees[seed / 8 % 3],
            payeeBps: uint16(seed / 32 % 10_001),
            maxDelay: uint24(60 + seed / 1024 % 2 days),
            open: seed / 2048 % 4 == 0
        });
    }

    function _open(address owner, address judge_, uint256 seed, uint256 currency) internal {
        Shelf storage shelf = shelves.push();
        shelf.owner = owner;
        shelf.judge = judge_;
        shelf.terms = _terms(seed, currency);
        if (shelf.terms.token == ETH) shelf.terms.fee *= 1 gwei;
        vm.prank(owner);
        shelf.modelId = registry.registerModel(string(abi.encode(++counter)), shelf.terms, new Metric[](0));
        _publish(shelf);
        for (uint256 i = 0; i < requesters.length; ++i) {
            _grant(owner, requesters[i], shelf.modelId, INFER, NEVER, 4);
        }
        for (uint256 i = 0; i < workers.length; ++i) {
            _grant(owner, workers[i], shelf.modelId, workers[i] == bob ? INFER | SERVE : SERVE, NEVER, 4);
        }
    }

    function _publish(Shelf storage shelf) internal {
        Version memory version;
        version.modelId = shelf.modelId;
        version.bundleHash = version.contentHash = version.manifestHash = bytes32(++counter);
        version.verifier = shelf.judge;
        version.attestor = shelf.owner;
        vm.prank(shelf.owner);
        (shelf.versionId,) = registry.publishVersion(version, "");
    }

    function _grant(address owner, address grantee, bytes32 modelId, uint8 rights, uint40 expiry, uint24 uses)
        internal
    {
        vm.prank(owner);
        dataShare.grant(grantee, modelId, GrantTerms(rights, expiry, uses, address(escrow)), "");
        allowances[owner][grantee][modelId] = Allowance(rights, expiry, uses, uses, generations[owner][grantee]);
    }

    function _offerOf(Shelf storage shelf) internal view returns (Offer memory) {
        ModelTerms memory terms = shelf.terms;
        return Offer({
            modelId: shelf.modelId,
            versionId: shelf.versionId,
            owner: shelf.owner,
            payee: terms.payee == address(0) ? shelf.owner : terms.payee,
            payeeBps: terms.payeeBps,
            token: terms.token,
            fee: terms.fee,
            verifier: shelf.judge
        });
    }

    // --- entries ----------------------------------------------------------------------------------

    /// @dev Notes that a request was placed, which must be new and was paid in full.
    function _enter(bytes32 id, Offer memory offer, Request memory terms) internal {
        vm.assertEq(id, Digests.ofRequest(address(escrow), offer, terms), "the id is the digest of the terms");
        vm.assertTrue(entries[id].status == RequestStatus.None, "no id comes twice");
        ids.push(id);
        Entry storage entry = entries[id];
        entry.offer = offer;
        entry.terms = terms;
        entry.status = offer.token == ETH ? RequestStatus.Open : RequestStatus.OpenErc20;
        entry.deadline = terms.query.deadline;
        entry.deposited = offer.fee;
    }

    /// @dev Notes that a request ended in an answer, and what worker and payee are now owed.
    function _enterAnswer(bytes32 id, address worker, bytes32 commitment) internal {
        Entry storage entry = entries[id];
        entry.status = RequestStatus.Fulfilled;
        entry.commitment = bytes31(commitment);
        Offer memory offer = entry.offer;
        uint256 share = offer.fee * offer.payeeBps / 10_000;
        credit[offer.token][offer.payee] += share;
        credit[offer.token][worker] += offer.fee - share;
    }

    /// @dev Notes that a request ended in favour of its payer.
    function _enterReturn(bytes32 id, RequestStatus status, bytes32 commitment) internal {
        Entry storage entry = entries[id];
        entry.status = status;
        entry.commitment = bytes31(commitment);
        credit[entry.offer.token][entry.terms.payer] += entry.offer.fee;
    }

    // --- picking ----------------------------------------------------------------------------------

    /// @dev The first of `length` places from a random one on that suits, if one does.
    function _find(uint256 seed, uint256 length, function(uint256) view returns (bool) suits)
        internal
        view
        returns (bool found, uint256 place)
    {
        for (uint256 i = 0; i < length; ++i) {
            place = (seed % length + i) % length;
            if (suits(place)) return (true, place);
        }
    }

    /// @dev As `_find`; if none suits, the handler has nothing to do and its call is discarded.
    function _pick(uint256 seed, uint256 length, function(uint256) view returns (bool) suits)
        internal
        view
        returns (uint256)
    {
        (bool found, uint256 place) = _find(seed, length, suits);
        vm.assume(found);
        return place;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IInferenceEscrow, Query, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";
import {Books, Entry, Shelf} from "./Books.sol";

/// @notice Requesters and sponsors.
abstract contract Requesting is Books {
    /// @dev What a hostile consumer does when it is called.
    enum Ploy {
        None,
        Withdraw,
        Refund,
        RefundAndWithdraw
    }

    bytes private constant INPUT = hex"00aa";

    Ploy internal ploy;
    bytes32 internal ployId;
    address internal ployToken;
    /// @dev Fees that the consumer's ploys had refunded during this call.
    mapping(address token => uint256) internal refundedAside;

    /// @dev Sees to it that what the consumer does when called is entered as well.
    modifier watched() {
        uint256 before = consumer.successes();
        _;
        if (consumer.successes() == before) return;
        if (ploy == Ploy.Refund || ploy == Ploy.RefundAndWithdraw) {
            Entry storage entry = entries[ployId];
            vm.assertTrue(block.timestamp > entry.deadline, "no refund before its time");
            _enterReturn(ployId, RequestStatus.Refunded, 0);
            entry.distributed = entry.offer.fee;
        }
        if (ploy == Ploy.Withdraw) credit[ployToken][address(consumer)] = 0;
        if (ploy == Ploy.RefundAndWithdraw) credit[entries[ployId].offer.token][address(consumer)] = 0;
    }

    // --- handlers ---------------------------------------------------------------------------------

    function request(uint256 seed) external watched {
        uint256 place = _pick(seed, shelves.length * requesters.length, _mayAsk);
        bytes32 id = _ask(place, seed, seed & 1 != 0);
        if (seed & 2 != 0) _placeAgain(id);
    }

    function requestMany(uint256 seed) external watched {
        uint256 place = _pick(seed, shelves.length * requesters.length, _mayAskTwice);
        (Shelf storage shelf, address who) = _at(place);
        Query[] memory queries = new Query[](2);
        for (uint256 i = 0; i < queries.length; ++i) {
            queries[i] = _query(shelf, who, uint256(keccak256(abi.encode(seed, i))), false);
        }
        Offer memory offer = _offerOf(shelf);
        _fund(who, offer.token, 2 * offer.fee);
        vm.prank(who);
        bytes32[] memory placed = escrow.requestMany{value: offer.token == ETH ? 2 * offer.fee : 0}(
            offer.modelId, offer.versionId, queries, new bytes[](2)
        );
        for (uint256 i = 0; i < placed.length; ++i) {
            _enter(placed[i], offer, Request(who, who, queries[i]));
            _consume(shelf, who);
        }
    }

    function requestFor(uint256 seed) external watched {
        uint256 place = _pick(seed, shelves.length * requesters.length, _maySign);
        (Shelf storage shelf, address signer) = _at(place);
        address payer = requesters[seed / 16 % requesters.length];
        Offer memory offer = _offerOf(shelf);
        Request memory terms = Request(signer, payer, _query(shelf, signer, seed, false));
        bytes32 digest = Digests.ofRequest(address(escrow), offer, terms);
        bytes memory signature = hex"abcd";
        if (signer == address(wallet)) {
            wallet.sign(digest, signature);
        } else {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer == alice ? ALICE_KEY : BOB_KEY, digest);
            signature = abi.encodePacked(r, s, v);
        }
        _fund(payer, offer.token, offer.fee);
        vm.prank(payer);
        bytes32 id = escrow.requestFor{value: offer.token == ETH ? offer.fee : 0}(
            offer.modelId, offer.versionId, terms, INPUT, signature
        );
        _enter(id, offer, terms);
        _consume(shelf, signer);
    }

    function cancel(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        address who = requesters[seed / 16 % requesters.length];
        Offer memory offer = _offerOf(shelf);
        Request memory terms = Request(who, bob, _query(shelf, who, seed, false));
        vm.prank(who);
        escrow.cancel(offer, terms);
        bytes32 id = Digests.ofRequest(address(escrow), offer, terms);
        _enter(id, offer, terms);
        entries[id].status = RequestStatus.Cancelled;
        entries[id].deposited = 0;
    }

    // --- internal ---------------------------------------------------------------------------------

    function _at(uint256 place) internal view returns (Shelf storage shelf, address who) {
        return (shelves[place / requesters.length], requesters[place % requesters.length]);
    }

    function _mayAsk(uint256 place) internal view returns (bool) {
        (Shelf storage shelf, address who) = _at(place);
        return shelf.terms.open || may(shelf.owner, who, shelf.modelId, INFER);
    }

    function _mayAskTwice(uint256 place) private view returns (bool) {
        (Shelf storage shelf, address who) = _at(place);
        return _mayAsk(place) && (shelf.terms.open || allowances[shelf.owner][who][shelf.modelId].uses > 1);
    }

    function _maySign(uint256 place) private view returns (bool) {
        (, address who) = _at(place);
        return who != address(consumer) && _mayAsk(place);
    }

    /// @dev Places a request that may be placed, with a callback if it is the consumer's and so wished.
    function _ask(uint256 place, uint256 seed, bool callback) internal returns (bytes32 id) {
        (Shelf storage shelf, address who) = _at(place);
        Query memory query = _query(shelf, who, seed, callback);
        Offer memory offer = _offerOf(shelf);
        _fund(who, offer.token, offer.fee);
        vm.prank(who);
        id = escrow.request{value: offer.token == ETH ? offer.fee : 0}(offer.modelId, offer.versionId, query, INPUT);
        _enter(id, offer, Request(who, who, query));
        _consume(shelf, who);
    }

    /// @dev What was placed once is not placed again, whatever has become of it.
    function _placeAgain(bytes32 id) internal {
        Entry storage entry = entries[id];
        Request memory terms = entry.terms;
        uint256 value = entry.offer.token == ETH ? entry.offer.fee : 0;
        vm.deal(terms.payer, terms.payer.balance + value);
        vm.prank(terms.payer);
        try escrow.request{value: value}(entry.offer.modelId, entry.offer.versionId, terms.query, INPUT) {
            revert("the same request twice");
        } catch {
            vm.deal(terms.payer, terms.payer.balance - value);
        }
    }

    function _query(Shelf storage shelf, address who, uint256 seed, bool callback)
        internal
        returns (Query memory query)
    {
        query.inputHash = keccak256(abi.encode(++counter));
        query.deadline = uint40(block.timestamp + 1 + seed / 64 % shelf.terms.maxDelay);
        if (seed / 4 % 4 == 0) query.worker = workers[seed / 16 % workers.length];
        query.flags = uint8(seed / 128 % 2);
        if (callback && who == address(consumer)) {
            query.callbackGas = uint32(1 + seed / 256 % 200_000);
        } else if (seed & 256 != 0) {
            query.replyKey = bytes32(seed);
        }
    }

    function _fund(address who, address token, uint256 amount) internal {
        if (token == ETH) vm.deal(who, who.balance + amount);
        else Coin(token).mint(who, amount);
    }

    function _consume(Shelf storage shelf, address who) internal {
        if (!shelf.terms.open) --allowances[shelf.owner][who][shelf.modelId].uses;
    }
}

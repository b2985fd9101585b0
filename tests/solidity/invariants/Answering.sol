// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Answer, IInferenceEscrow, Outcome, Request} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";
import {Entry, Shelf} from "./Books.sol";
import {Requesting} from "./Requesting.sol";

/// @notice Workers, and the verifier.
abstract contract Answering is Requesting {
    bytes internal constant OUTPUT = hex"00bb";

    mapping(bytes32 id => address) private _heldFor;

    // --- handlers: workers ------------------------------------------------------------------------

    function fulfil(uint256 seed, bytes32 commitment) external watched {
        bytes32 id = _answerable(seed, _isPlain, _listedPlain, false);
        commitment = commitment == 0 ? bytes32(uint256(1)) : commitment;
        Entry memory entry = entries[id];
        address worker = eligibleWorker(id, seed);
        uint256 before = wealth(entry.offer.token);
        vm.prank(worker);
        escrow.fulfil(entry.offer, entry.terms, commitment, OUTPUT);
        _enterAnswer(id, worker, commitment);
        _enterDistribution(id, before);
        _endAgain(id, worker, seed);
    }

    function fulfilMany(uint256 seed, bytes32 commitment) external watched {
        bytes32 id = _answerable(seed, _isPlain, _listedPlain, false);
        commitment = commitment == 0 ? bytes32(uint256(1)) : commitment;
        Offer memory offer = entries[id].offer;
        address worker = eligibleWorker(id, seed);
        (bytes32[] memory among, uint256 length) = _under(offer, seed);
        Answer[] memory answers = new Answer[](length);
        for (uint256 i = 0; i < length; ++i) {
            answers[i] = Answer(entries[among[i]].terms, commitment, OUTPUT);
        }
        uint256 before = wealth(offer.token);
        vm.prank(worker);
        Outcome[] memory outcomes = escrow.fulfilMany(offer, answers);
        uint256 taken = 0;
        for (uint256 i = 0; i < length; ++i) {
            Outcome expected = _expected(among[i], worker);
            vm.assertEq(uint256(outcomes[i]), uint256(expected), "outcome");
            if (expected != Outcome.Fulfilled) continue;
            ++taken;
            _enterAnswer(among[i], worker, commitment);
            entries[among[i]].distributed = offer.fee;
        }
        vm.assertEq(wealth(offer.token) - before, taken * offer.fee, "each fee, once");
    }

    function fulfilWithCallback(uint256 seed, bytes32 salt) external watched {
        bytes32 id = _answerable(seed, _callsBack, _listedForCallback, true);
        Entry memory entry = entries[id];
        address worker = eligibleWorker(id, seed);
        uint256 before = wealth(entry.offer.token);
        vm.prank(worker);
        escrow.fulfilWithCallback(entry.offer, entry.terms, salt, hex"0123");
        _enterAnswer(id, worker, Digests.ofResult(id, hex"0123", salt));
        _enterDistribution(id, before);
        _endAgain(id, worker, seed);
    }

    function refuse(uint256 seed) external watched {
        bytes32 id = _answerable(seed, _isUnjudged, _listedPlain, false);
        Entry memory entry = entries[id];
        address worker = eligibleWorker(id, seed);
        uint256 before = wealth(entry.offer.token);
        vm.prank(worker);
        escrow.refuse(entry.offer, entry.terms, uint8(seed));
        _enterReturn(id, RequestStatus.Refused, 0);
        _enterDistribution(id, before);
        _endAgain(id, worker, seed);
    }

    // --- handlers: the verifier -------------------------------------------------------------------

    function hold(uint256 seed, uint40 length) external watched {
        _hold(_answerable(seed, _isJudged, _listedJudged, seed & 1 != 0), seed, length);
    }

    function settle(uint256 seed, bytes32 commitment) external watched {
        (bool found, uint256 place) = _find(seed, ids.length, _isHeldPlain);
        bytes32 id = found ? ids[place] : _answerable(seed, _isJudgedPlain, _listedJudged, false);
        commitment = commitment == 0 ? bytes32(uint256(1)) : commitment;
        Entry memory entry = entries[id];
        address worker = found ? _heldFor[id] : eligibleWorker(id, seed);
        uint256 before = wealth(entry.offer.token);
        vm.prank(judge);
        escrow.settle(entry.offer, entry.terms, worker, commitment, OUTPUT);
        _enterAnswer(id, worker, commitment);
        _enterDistribution(id, before);
        _endAgain(id, worker, seed);
    }

    function settleWithCallback(uint256 seed, bytes32 salt) external watched {
        bytes32 id = _answerable(seed, _isJudgedCallback, _listedJudgedForCallback, true);
        Entry memory entry = entries[id];
        address worker = isHeld(id) ? _heldFor[id] : eligibleWorker(id, seed);
        uint256 before = wealth(entry.offer.token);
        vm.prank(judge);
        escrow.settleWithCallback(entry.offer, entry.terms, worker, salt, hex"0456");
        _enterAnswer(id, worker, Digests.ofResult(id, hex"0456", salt));
        _enterDistribution(id, before);
        _endAgain(id, worker, seed);
    }

    function correct(uint256 seed, bytes32 commitment) external watched {
        (bool found, uint256 place) = _find(seed, ids.length, _isHeldInTime);
        bytes32 id = found ? ids[place] : _answerable(seed, _isJudged, _listedJudged, false);
        if (!found) _hold(id, seed, 1 hours);
        commitment = commitment == 0 ? bytes32(uint256(1)) : commitment;
        Entry memory entry = entries[id];
        uint256 before = wealth(entry.offer.token);
        vm.prank(judge);
        escrow.correct(entry.offer, entry.terms, commitment, OUTPUT);
        _enterReturn(id, RequestStatus.Corrected, commitment);
        _enterDistribution(id, before);
        _endAgain(id, workers[0], seed);
    }

    // --- internal ---------------------------------------------------------------------------------

    function _hold(bytes32 id, uint256 seed, uint40 length) private {
        Entry storage entry = entries[id];
        address worker = eligibleWorker(id, seed);
        uint40 until = uint40(block.timestamp + 1 + length % 30 days);
        vm.prank(judge);
        escrow.hold(entry.offer, entry.terms, worker, until);
        entry.status = entry.offer.token == ETH ? RequestStatus.Held : RequestStatus.HeldErc20;
        entry.deadline = until;
        _heldFor[id] = worker;
    }

    /// @dev A request that suits and can be answered now: one there is, or a new one.
    function _answerable(
        uint256 seed,
        function(uint256) view returns (bool) suits,
        function(uint256) view returns (bool) listed,
        bool callback
    ) private returns (bytes32 id) {
        (bool found, uint256 place) = _find(seed, ids.length, suits);
        if (found) return ids[place];
        place = _pick(seed, shelves.length * requesters.length, listed);
        id = _ask(place, seed, callback);
        vm.assume(eligibleWorker(id, seed) != address(0));
    }

    function _isAnswerable(bytes32 id) private view returns (bool) {
        return isOpen(id) && block.timestamp <= entries[id].deadline && eligibleWorker(id, 0) != address(0);
    }

    function _isUnjudged(uint256 place) private view returns (bool) {
        return entries[ids[place]].offer.verifier == address(0) && _isAnswerable(ids[place]);
    }

    function _isPlain(uint256 place) private view returns (bool) {
        return entries[ids[place]].terms.query.callbackGas == 0 && _isUnjudged(place);
    }

    function _callsBack(uint256 place) private view returns (bool) {
        return entries[ids[place]].terms.query.callbackGas != 0 && _isUnjudged(place);
    }

    function _isJudged(uint256 place) private view returns (bool) {
        return entries[ids[place]].offer.verifier != address(0) && _isAnswerable(ids[place]);
    }

    function _isJudgedPlain(uint256 place) private view returns (bool) {
        return entries[ids[place]].terms.query.callbackGas == 0 && _isJudged(place);
    }

    function _isJudgedCallback(uint256 place) private view returns (bool) {
        return entries[ids[place]].terms.query.callbackGas != 0 && (_isJudged(place) || _isHeldInTime(place));
    }

    function _isHeldInTime(uint256 place) private view returns (bool) {
        return isHeld(ids[place]) && block.timestamp <= entries[ids[place]].deadline;
    }

    function _isHeldPlain(uint256 place) private view returns (bool) {
        return entries[ids[place]].terms.query.callbackGas == 0 && _isHeldInTime(place);
    }

    function _listedPlain(uint256 place) private view returns (bool) {
        (Shelf storage shelf,) = _at(place);
        return shelf.judge == address(0) && _mayAsk(place);
    }

    function _listedJudged(uint256 place) private view returns (bool) {
        (Shelf storage shelf,) = _at(place);
        return shelf.judge != address(0) && _mayAsk(place);
    }

    function _listedForCallback(uint256 place) private view returns (bool) {
        (, address who) = _at(place);
        return who == address(consumer) && _listedPlain(place);
    }

    function _listedJudgedForCallback(uint256 place) private view returns (bool) {
        (, address who) = _at(place);
        return who == address(consumer) && _listedJudged(place);
    }

    /// @dev Up to four requests under an offer, whatever has become of them.
    function _under(Offer memory offer, uint256 seed) private view returns (bytes32[] memory among, uint256 length) {
        bytes32 wanted = keccak256(abi.encode(offer));
        among = new bytes32[](4);
        for (uint256 i = 0; i < ids.length && length < 4; ++i) {
            bytes32 id = ids[(seed % ids.length + i) % ids.length];
            if (keccak256(abi.encode(entries[id].offer)) == wanted) among[length++] = id;
        }
    }

    function _expected(bytes32 id, address worker) private view returns (Outcome) {
        Entry storage entry = entries[id];
        address named = entry.terms.query.worker;
        if (!isOpen(id)) return Outcome.NotOpen;
        if (block.timestamp > entry.deadline) return Outcome.DeadlinePassed;
        if (named != address(0) && named != worker) return Outcome.NotNamedWorker;
        if (entry.terms.query.callbackGas != 0) return Outcome.CallbackRequired;
        return Outcome.Fulfilled;
    }

    /// @dev Notes by how much the accounts grew, apart from what the consumer had refunded meanwhile.
    function _enterDistribution(bytes32 id, uint256 before) internal {
        Entry storage entry = entries[id];
        uint256 aside = 0;
        if (ploy == Ploy.Refund || ploy == Ploy.RefundAndWithdraw) {
            Entry storage other = entries[ployId];
            (RequestStatus status,) = escrow.resultOf(ployId);
            bool justRefunded = status == RequestStatus.Refunded && other.status != status;
            if (justRefunded && other.offer.token == entry.offer.token) aside = other.offer.fee;
        }
        entry.distributed = wealth(entry.offer.token) - before - aside;
    }

    /// @dev What has ended does not end again, in whatever way.
    function _endAgain(bytes32 id, address worker, uint256 seed) internal {
        Entry memory entry = entries[id];
        bytes[7] memory attempts = [
            abi.encodeCall(escrow.fulfil, (entry.offer, entry.terms, bytes32(uint256(1)), OUTPUT)),
            abi.encodeCall(escrow.fulfilWithCallback, (entry.offer, entry.terms, 0, OUTPUT)),
            abi.encodeCall(escrow.refuse, (entry.offer, entry.terms, 1)),
            abi.encodeCall(escrow.refund, (id)),
            abi.encodeCall(escrow.settle, (entry.offer, entry.terms, worker, bytes32(uint256(1)), OUTPUT)),
            abi.encodeCall(escrow.correct, (entry.offer, entry.terms, bytes32(uint256(1)), OUTPUT)),
            abi.encodeCall(escrow.hold, (entry.offer, entry.terms, worker, uint40(block.timestamp + 1)))
        ];
        uint256 which = seed % attempts.length;
        vm.prank(which < 4 ? worker : judge);
        (bool ended,) = address(escrow).call(attempts[which]);
        vm.assertTrue(!ended, "what has ended ended again");
    }
}

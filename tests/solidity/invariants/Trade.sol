// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {vm} from "../market/Vm.sol";
import {Answering} from "./Answering.sol";
import {Books, Entry, Shelf} from "./Books.sol";

/// @notice Everything that happens on the market: what `Requesting` and `Answering` do, and here refunds
/// and withdrawals, owners who change their minds, time, and accidents.
contract Trade is Answering {
    constructor(IDataShare dataShare_, IModelRegistry registry_, IInferenceEscrow escrow_)
        Books(dataShare_, registry_, escrow_)
    {}

    // --- handlers: money back ---------------------------------------------------------------------

    function refund(uint256 seed, address caller) external watched {
        bytes32 id = _due(seed);
        uint256 before = wealth(entries[id].offer.token);
        vm.prank(caller);
        escrow.refund(id);
        _enterReturn(id, RequestStatus.Refunded, 0);
        _enterDistribution(id, before);
        _endAgain(id, workers[0], seed);
    }

    function refundMany(uint256 seed) external watched {
        bytes32 due = _due(seed);
        bytes32[] memory some = new bytes32[](1 + seed % 6);
        uint256 expected = 0;
        for (uint256 i = 0; i < some.length; ++i) {
            some[i] = i == 0 ? due : ids[(seed / 8 + i) % ids.length];
            Entry storage entry = entries[some[i]];
            if (!isOpen(some[i]) && !isHeld(some[i]) || block.timestamp <= entry.deadline) continue;
            ++expected;
            _enterReturn(some[i], RequestStatus.Refunded, 0);
            entry.distributed = entry.offer.fee;
        }
        vm.assertEq(escrow.refundMany(some), expected, "all that were due");
    }

    function refundAndWithdraw(uint256 seed) external watched {
        bytes32 id = _due(seed);
        Entry storage entry = entries[id];
        address token = entry.offer.token;
        address payer = entry.terms.payer;
        vm.assume(credit[token][payer] + entry.offer.fee != 0);
        uint256 before = wealth(token);
        vm.prank(payer);
        uint256 amount = escrow.refundAndWithdraw(id, accounts[0]);
        _enterReturn(id, RequestStatus.Refunded, 0);
        _enterDistribution(id, before);
        vm.assertEq(amount, credit[token][payer], "all that was owed");
        credit[token][payer] = 0;
    }

    function withdraw(uint256 seed) external watched {
        uint256 place = _pick(seed, accounts.length * currencies.length, _isOwed);
        address account = accounts[place % accounts.length];
        address token = currencies[place / accounts.length];
        uint256 owed = credit[token][account];
        if (token == ETH && refuser.behaviour() == Behaviour.Revert) {
            vm.prank(account);
            try escrow.withdraw(token, address(refuser)) {
                revert("the receiver did not take it");
            } catch {}
        }
        address to = _taker(account, seed);
        uint256 expected = wealth(token);
        uint256 successes = consumer.successes();
        vm.prank(account);
        vm.assertEq(escrow.withdraw(token, to), owed, "all that is owed");
        credit[token][account] = 0;
        bool refunded = consumer.successes() != successes && ploy != Ploy.Withdraw;
        if (refunded && entries[ployId].offer.token == token) expected += entries[ployId].offer.fee;
        vm.assertEq(wealth(token), expected, "what is withdrawn arrives");
    }

    // --- handlers: owners -------------------------------------------------------------------------

    function grant(uint256 seed, uint40 length) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        address grantee = requesters[seed / 16 % requesters.length];
        uint40 expiry = seed & 64 == 0 ? NEVER : uint40(block.timestamp + length % 2 days);
        _grant(shelf.owner, grantee, shelf.modelId, grantee == bob ? INFER | SERVE : INFER, expiry, uint24(1 + seed / 128 % 5));
    }

    function employ(uint256 seed, uint40 length) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        uint40 expiry = seed & 64 == 0 ? NEVER : uint40(block.timestamp + length % 2 days);
        _grant(shelf.owner, workers[seed / 16 % 2], shelf.modelId, SERVE, expiry, 0);
    }

    function revoke(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        address grantee = seed & 16 == 0 ? requesters[seed / 32 % requesters.length] : workers[seed / 32 % workers.length];
        vm.prank(shelf.owner);
        dataShare.revoke(grantee, shelf.modelId);
        delete allowances[shelf.owner][grantee][shelf.modelId];
    }

    function revokeAccess(uint256 seed) external {
        address owner = owners[seed % 2];
        address grantee = seed & 16 == 0 ? requesters[seed / 32 % requesters.length] : workers[seed / 32 % workers.length];
        vm.prank(owner);
        dataShare.revokeAccess(grantee);
        ++generations[owner][grantee];
    }

    function setTerms(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        ModelTerms memory terms = _terms(seed / 8, seed / 4);
        if (terms.token == ETH) terms.fee *= 1 gwei;
        vm.prank(shelf.owner);
        registry.setTerms(shelf.modelId, terms);
        shelf.terms = terms;
    }

    function replaceVersion(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        vm.prank(shelf.owner);
        registry.retireVersion(shelf.modelId, shelf.versionId);
        _publish(shelf);
    }

    function handOver(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        address newOwner = shelf.owner == owners[0] ? owners[1] : owners[0];
        vm.prank(shelf.owner);
        registry.offerOwnership(shelf.modelId, newOwner);
        vm.prank(newOwner);
        registry.acceptOwnership(shelf.modelId);
        shelf.owner = newOwner;
    }

    function replaceModel(uint256 seed) external {
        Shelf storage shelf = shelves[seed % shelves.length];
        (address owner, address judge_) = (shelf.owner, shelf.judge);
        vm.prank(owner);
        registry.retireModel(shelf.modelId);
        _open(owner, judge_, seed, seed / 4);
        shelves[seed % (shelves.length - 1)] = shelves[shelves.length - 1];
        shelves.pop();
    }

    // --- handlers: the rest -----------------------------------------------------------------------

    function wait(uint256 time) external {
        vm.warp(block.timestamp + 1 + time % 6 hours);
    }

    function force(uint256 seed, uint96 amount) external {
        address token = currencies[seed % currencies.length];
        vm.assume(amount != 0);
        if (token == ETH) vm.deal(address(escrow), address(escrow).balance + amount);
        else Coin(token).mint(address(escrow), amount);
        forced[token] += amount;
    }

    function turnHostile(uint256 seed) external {
        HostileAccount account = seed & 1 == 0 ? refuser : consumer;
        Behaviour behaviour = Behaviour(seed / 2 % 6);
        account.behave(behaviour);
        if (address(account) != address(consumer) || behaviour != Behaviour.Reenter) return;
        ploy = ids.length == 0 ? Ploy.Withdraw : Ploy(1 + seed / 16 % 3);
        ployToken = currencies[seed / 64 % currencies.length];
        if (ids.length != 0) ployId = ids[seed / 256 % ids.length];
        bytes memory data = abi.encodeCall(escrow.withdraw, (ployToken, address(consumer)));
        if (ploy == Ploy.Refund) data = abi.encodeCall(escrow.refund, (ployId));
        if (ploy == Ploy.RefundAndWithdraw) {
            data = abi.encodeCall(escrow.refundAndWithdraw, (ployId, address(consumer)));
        }
        consumer.reenter(address(escrow), data);
    }

    // --- internal ---------------------------------------------------------------------------------

    /// @dev A request that is due for a refund; time passes until one is, if any is left at all.
    function _due(uint256 seed) private returns (bytes32) {
        (bool found, uint256 place) = _find(seed, ids.length, _isDue);
        if (found) return ids[place];
        place = _pick(seed, ids.length, _isUnended);
        vm.warp(uint256(entries[ids[place]].deadline) + 1);
        return ids[place];
    }

    function _isUnended(uint256 place) private view returns (bool) {
        return isOpen(ids[place]) || isHeld(ids[place]);
    }

    function _isDue(uint256 place) private view returns (bool) {
        return _isUnended(place) && block.timestamp > entries[ids[place]].deadline;
    }

    function _isOwed(uint256 place) private view returns (bool) {
        return credit[currencies[place / accounts.length]][accounts[place % accounts.length]] != 0;
    }

    /// @dev Somebody who takes money: the account itself, or another.
    function _taker(address account, uint256 seed) private view returns (address) {
        address[3] memory takers = [account, accounts[0], address(consumer)];
        address taker = takers[seed % 3];
        if (taker == address(wallet)) return accounts[0];
        if (taker != address(consumer) && taker != address(refuser)) return taker;
        Behaviour behaviour = HostileAccount(payable(taker)).behaviour();
        bool takes = behaviour == Behaviour.Comply || behaviour == Behaviour.ReturnBomb || behaviour == Behaviour.Reenter;
        return takes ? taker : accounts[0];
    }
}

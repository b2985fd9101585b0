// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {RequestState, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Coin} from "../actors/Coin.sol";
import {ExactMarket} from "../market/ExactMarket.sol";
import {vm} from "../market/Vm.sol";
import {Case, Disputing} from "./Disputing.sol";

/// @notice What holds of referee and escrow after every sequence of calls; numbered as in the README.
contract ExactRefereeInvariants is ExactMarket {
    Disputing private disputing;
    address[] private accounts;
    address[2] private currencies;
    uint256 private staked;

    function setUp() public override {
        super.setUp();
        disputing = new Disputing(dataShare, registry, escrow, referee, keccak256(PROGRAM));
        accounts = disputing.allAccounts();
        currencies = [ETH, address(disputing.coin())];
        staked = address(referee).balance;
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(disputing);
    }

    function invariant_disputes() external {
        _25_theRefereeCoversWhatIsStakedAndOwed();
        _26_everybodyHasWhatTheBooksSay();
        _27_theEscrowHoldsExactlyWhatIsOpenAndOwed();
        _28_requestsAndAnswersAreAsTheBooksSay();
        _29_whatIsExaminedCanBeEndedInTime();
        _30_everybodyLeavesWithEverything();
    }

    /// @dev At least, and exactly but for what was forced in.
    function _25_theRefereeCoversWhatIsStakedAndOwed() private view {
        uint256 liabilities = staked;
        for (uint256 i = 0; i < disputing.count(); ++i) {
            Case memory a = disputing.caseAt(i);
            if (a.pending) liabilities += a.answer.bond;
        }
        for (uint256 i = 0; i < accounts.length; ++i) {
            liabilities += referee.balanceOf(accounts[i]);
        }
        vm.assertTrue(address(referee).balance >= liabilities, "25 solvency");
        vm.assertEq(address(referee).balance - liabilities, disputing.forcedOnReferee(), "25 exactness");
    }

    function _26_everybodyHasWhatTheBooksSay() private view {
        for (uint256 i = 0; i < accounts.length; ++i) {
            vm.assertEq(referee.balanceOf(accounts[i]), disputing.balance(accounts[i]), "26 balance");
            for (uint256 j = 0; j < 2; ++j) {
                uint256 credit = escrow.creditOf(currencies[j], accounts[i]);
                vm.assertEq(credit, disputing.credit(currencies[j], accounts[i]), "26 credit");
            }
        }
        vm.assertEq(disputing.lostByTheHonest(), 0, "26 no right answer loses its bond");
    }

    function _27_theEscrowHoldsExactlyWhatIsOpenAndOwed() private view {
        for (uint256 j = 0; j < 2; ++j) {
            address token = currencies[j];
            uint256 liabilities = 0;
            for (uint256 i = 0; i < disputing.count(); ++i) {
                RequestState memory state = escrow.requestOf(disputing.caseAt(i).id);
                if (state.token == token) liabilities += state.fee;
            }
            for (uint256 i = 0; i < accounts.length; ++i) {
                liabilities += escrow.creditOf(token, accounts[i]);
            }
            vm.assertEq(_heldByTheEscrow(token), liabilities, "27 escrow");
        }
    }

    function _28_requestsAndAnswersAreAsTheBooksSay() private view {
        for (uint256 i = 0; i < disputing.count(); ++i) {
            Case memory a = disputing.caseAt(i);
            (RequestStatus status, bytes31 commitment) = escrow.resultOf(a.id);
            vm.assertEq(uint256(status), uint256(a.status), "28 status");
            vm.assertEq(commitment, a.commitment, "28 commitment");
            bytes32 pending = a.pending ? keccak256(abi.encode(a.answer)) : bytes32(0);
            vm.assertEq(referee.pendingOf(a.id), pending, "28 answer");
            if (!_isHeld(a)) continue;
            vm.assertEq(escrow.requestOf(a.id).deadline, a.answer.settleAfter + 1 days, "28 a day to settle");
        }
    }

    /// @dev Settled, or, once that is too late, released and refunded, by anyone and whatever anybody else does.
    /// A consumer that is called for one answer may end another before its turn comes.
    function _29_whatIsExaminedCanBeEndedInTime() private {
        uint256 now_ = block.timestamp;
        for (uint256 i = 0; i < disputing.count(); ++i) {
            Case memory a = disputing.caseAt(i);
            if (referee.pendingOf(a.id) == 0) continue;
            uint256 until = a.answer.settleAfter + 1 days;
            if (now_ <= until && i % 2 == 0) {
                vm.warp(now_ > a.answer.settleAfter ? now_ : a.answer.settleAfter + 1);
                referee.settle(a.offer, a.terms, a.answer);
            } else {
                vm.warp(now_ > until ? now_ : until + 1);
                referee.release(a.id, a.answer);
                if (_isHeld(a)) escrow.refund(a.id);
            }
            vm.assertEq(referee.pendingOf(a.id), 0, "29 ended");
        }
    }

    /// @dev After 29, so that nothing is staked; forge undoes what an invariant does.
    function _30_everybodyLeavesWithEverything() private {
        for (uint256 i = 0; i < accounts.length; ++i) {
            uint256 balance = referee.balanceOf(accounts[i]);
            address to = address(uint160(uint256(keccak256(abi.encode(i)))));
            vm.prank(accounts[i]);
            referee.withdraw(balance, to);
            vm.assertEq(to.balance, balance, "30 withdrawal");
        }
        vm.assertEq(address(referee).balance, staked + disputing.forcedOnReferee(), "30 nothing is left");
    }

    function _isHeld(Case memory a) private pure returns (bool) {
        return a.status == RequestStatus.Held || a.status == RequestStatus.HeldErc20;
    }

    function _heldByTheEscrow(address token) private view returns (uint256) {
        return token == ETH ? address(escrow).balance : Coin(token).balanceOf(address(escrow));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {RequestState, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Grant} from "../../../contracts/interfaces/IDataShare.sol";
import {Coin} from "../actors/Coin.sol";
import {Deployment} from "../market/Deployment.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";
import {Allowance, Entry, Shelf} from "./Books.sol";
import {Trade} from "./Trade.sol";

/// @notice What holds of the market after every sequence of calls; numbered as in the README beside it.
contract MarketInvariants is Deployment {
    address private constant ETH = address(0);

    Trade private trade;
    address[] private accounts;
    address[] private currencies;

    function setUp() public override {
        super.setUp();
        trade = new Trade(dataShare, registry, escrow);
        accounts = trade.allAccounts();
        currencies = trade.allCurrencies();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(trade);
    }

    function invariant_market() external {
        _01_everyCurrencyCoversWhatIsHeldAndOwed();
        _03_whatWasDepositedIsDistributedOnce();
        _04_whatHasEndedStaysAsItEnded();
        _05_everybodyIsOwedWhatTheBooksSay();
        _06_openRequestsKeepTheirTerms();
        _07_aVerifierReachesOnlyWhatNamesIt();
        _08_quotaIsUsesGrantedLessRequestsPlaced();
        _09_nobodyElseIsOwedOrHoldsAnything();
        _10_aValidAnswerNeverFails();
        _11_anAnswerAndARefundAreNeverBothPossible();
        _12_aDueRefundNeverFails();
        _13_aWithdrawalNeverFails();
    }

    /// @dev 1 and 2: covered, and exactly, but for what was forced in.
    function _01_everyCurrencyCoversWhatIsHeldAndOwed() private view {
        for (uint256 i = 0; i < currencies.length; ++i) {
            address token = currencies[i];
            uint256 liabilities = 0;
            for (uint256 j = 0; j < trade.count(); ++j) {
                RequestState memory state = escrow.requestOf(trade.ids(j));
                if (state.token == token) liabilities += state.fee;
            }
            for (uint256 j = 0; j < accounts.length; ++j) {
                liabilities += escrow.creditOf(token, accounts[j]);
            }
            uint256 balance = _balanceOf(token, address(escrow));
            vm.assertTrue(balance >= liabilities, "01 solvency");
            vm.assertEq(balance - liabilities, trade.forced(token), "02 exactness");
        }
    }

    function _03_whatWasDepositedIsDistributedOnce() private view {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            Entry memory entry = trade.entryOf(id);
            bool ended = !trade.isOpen(id) && !trade.isHeld(id);
            vm.assertEq(entry.distributed, ended ? entry.deposited : 0, "03 conservation");
        }
    }

    function _04_whatHasEndedStaysAsItEnded() private view {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            Entry memory entry = trade.entryOf(id);
            (RequestStatus status, bytes31 commitment) = escrow.resultOf(id);
            vm.assertEq(uint256(status), uint256(entry.status), "04 status");
            vm.assertEq(commitment, entry.commitment, "04 commitment");
        }
    }

    function _05_everybodyIsOwedWhatTheBooksSay() private view {
        for (uint256 i = 0; i < currencies.length; ++i) {
            for (uint256 j = 0; j < accounts.length; ++j) {
                vm.assertEq(
                    escrow.creditOf(currencies[i], accounts[j]), trade.credit(currencies[i], accounts[j]), "05 ledger"
                );
            }
        }
    }

    function _06_openRequestsKeepTheirTerms() private view {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            if (!trade.isOpen(id) && !trade.isHeld(id)) continue;
            Entry memory entry = trade.entryOf(id);
            RequestState memory state = escrow.requestOf(id);
            vm.assertEq(state.payer, entry.terms.payer, "06 payer");
            vm.assertEq(state.token, entry.offer.token, "06 token");
            vm.assertEq(state.fee, entry.offer.fee, "06 fee");
            vm.assertEq(state.deadline, entry.deadline, "06 deadline");
            vm.assertEq(escrow.idOf(entry.offer, entry.terms), id, "06 id");
        }
    }

    function _07_aVerifierReachesOnlyWhatNamesIt() private view {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            RequestStatus status = escrow.requestOf(id).status;
            bool judged = trade.entryOf(id).offer.verifier != address(0);
            if (trade.isHeld(id) || status == RequestStatus.Corrected) vm.assertTrue(judged, "07 held or corrected");
            if (status == RequestStatus.Refused) vm.assertTrue(!judged, "07 refused");
            if (trade.isHeld(id)) {
                vm.assertTrue(escrow.requestOf(id).deadline <= block.timestamp + escrow.MAX_HOLD(), "07 bounded");
            }
        }
    }

    function _08_quotaIsUsesGrantedLessRequestsPlaced() private view {
        Shelf[] memory shelves = trade.allShelves();
        for (uint256 i = 0; i < shelves.length; ++i) {
            for (uint256 j = 0; j < accounts.length; ++j) {
                Allowance memory told = trade.allowanceOf(shelves[i].owner, accounts[j], shelves[i].modelId);
                Grant memory stored = dataShare.grantOf(shelves[i].owner, accounts[j], shelves[i].modelId);
                vm.assertEq(stored.uses, told.uses, "08 uses");
                vm.assertTrue(told.uses <= told.granted, "08 granted");
                vm.assertEq(stored.generation, told.generation, "08 generation");
            }
        }
    }

    function _09_nobodyElseIsOwedOrHoldsAnything() private view {
        address[4] memory others = [address(0), address(escrow), address(registry), address(dataShare)];
        for (uint256 i = 0; i < currencies.length; ++i) {
            for (uint256 j = 0; j < others.length; ++j) {
                vm.assertEq(escrow.creditOf(currencies[i], others[j]), 0, "09 owed");
            }
            vm.assertEq(_balanceOf(currencies[i], address(registry)), 0, "09 registry");
            vm.assertEq(_balanceOf(currencies[i], address(dataShare)), 0, "09 data share");
        }
    }

    function _10_aValidAnswerNeverFails() private {
        try this.answerEverything() {
            revert("unreachable");
        } catch (bytes memory reason) {
            vm.assertEq(reason, abi.encodeWithSignature("Error(string)", "all answered"), "10 liveness of answers");
        }
    }

    /// @notice Answers every request that can be answered, then undoes it all by reverting.
    function answerEverything() external {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            Entry memory entry = trade.entryOf(id);
            address worker = trade.eligibleWorker(id, 0);
            bool judged = entry.offer.verifier != address(0);
            bool held = trade.isHeld(id);
            if (block.timestamp > entry.deadline || !(held || trade.isOpen(id) && worker != address(0))) continue;
            vm.prank(judged ? trade.judge() : worker);
            bool calls = entry.terms.query.callbackGas != 0;
            if (judged && calls) escrow.settleWithCallback(entry.offer, entry.terms, worker, 0, hex"01");
            else if (judged) escrow.settle(entry.offer, entry.terms, worker, bytes32(uint256(1)), hex"00");
            else if (calls) escrow.fulfilWithCallback(entry.offer, entry.terms, 0, hex"01");
            else escrow.fulfil(entry.offer, entry.terms, bytes32(uint256(1)), hex"00");
        }
        revert("all answered");
    }

    function _11_anAnswerAndARefundAreNeverBothPossible() private {
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            Entry memory entry = trade.entryOf(id);
            if (!trade.isOpen(id) && !trade.isHeld(id)) continue;
            if (block.timestamp <= entry.deadline) {
                (bool refunded,) = address(escrow).call(abi.encodeCall(escrow.refund, (id)));
                vm.assertTrue(!refunded, "11 refund in time");
                continue;
            }
            address worker = trade.eligibleWorker(id, 0);
            if (worker == address(0)) continue;
            bool judged = entry.offer.verifier != address(0);
            vm.prank(judged ? trade.judge() : worker);
            (bool answered,) = address(escrow).call(
                judged
                    ? abi.encodeCall(escrow.settle, (entry.offer, entry.terms, worker, bytes32(uint256(1)), ""))
                    : abi.encodeCall(escrow.fulfil, (entry.offer, entry.terms, bytes32(uint256(1)), ""))
            );
            vm.assertTrue(!answered, "11 answer too late");
        }
    }

    /// @dev Of all there are. Forge undoes what an invariant does.
    function _12_aDueRefundNeverFails() private {
        vm.warp(block.timestamp + 40 days);
        for (uint256 i = 0; i < trade.count(); ++i) {
            bytes32 id = trade.ids(i);
            if (!trade.isOpen(id) && !trade.isHeld(id)) continue;
            Entry memory entry = trade.entryOf(id);
            uint256 before = escrow.creditOf(entry.offer.token, entry.terms.payer);
            escrow.refund(id);
            uint256 credited = escrow.creditOf(entry.offer.token, entry.terms.payer) - before;
            vm.assertEq(credited, entry.deposited, "12 refund");
        }
    }

    /// @dev Everybody leaves with all that is owed, and nothing is left but what was forced in.
    function _13_aWithdrawalNeverFails() private {
        for (uint256 i = 0; i < currencies.length; ++i) {
            address token = currencies[i];
            for (uint256 j = 0; j < accounts.length; ++j) {
                uint256 owed = escrow.creditOf(token, accounts[j]);
                if (owed == 0) continue;
                address to = address(uint160(uint256(keccak256(abi.encode(i, j)))));
                vm.prank(accounts[j]);
                escrow.withdraw(token, to);
                vm.assertEq(_balanceOf(token, to), owed, "13 withdrawal");
            }
            vm.assertEq(_balanceOf(token, address(escrow)), trade.forced(token), "13 nothing is left");
        }
    }

    function _balanceOf(address token, address account) private view returns (uint256) {
        return token == ETH ? account.balance : Coin(token).balanceOf(account);
    }
}

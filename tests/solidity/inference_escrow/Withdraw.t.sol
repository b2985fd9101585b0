// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract WithdrawTest is Market {
    function testFuzz_allThatIsOwedGoesToAnyAddressOnce(uint256 fee, bool inCoin, uint160 salt) external {
        address to = address(uint160(uint256(keccak256(abi.encode(salt)))));
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? 1 + fee % (2 ** 96 - 1) : (1 + fee % (2 ** 48 - 1)) * 1 gwei;
        terms.payeeBps = 0;
        if (inCoin) terms.token = address(coin);
        _fulfil(_place(_list(terms, address(0))));

        _announces(address(escrow));
        emit IInferenceEscrow.Withdrawn(worker, terms.token, to, terms.fee);
        vm.prank(worker);
        vm.assertEq(escrow.withdraw(terms.token, to), terms.fee, "amount");

        vm.assertEq(inCoin ? coin.balanceOf(to) : to.balance, terms.fee, "received");
        vm.assertEq(inCoin ? coin.balanceOf(address(escrow)) : address(escrow).balance, 0, "gone");
        vm.assertEq(escrow.creditOf(terms.token, worker), 0, "owed nothing any more");
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NothingToWithdraw.selector, worker, terms.token));
        vm.prank(worker);
        escrow.withdraw(terms.token, to);
    }

    function testFuzz_whoIsOwedNothingWithdrawsNothing(address account, address token) external {
        _fulfil(_place(_list()));
        vm.assume(token != ETH || account != worker && account != payee);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NothingToWithdraw.selector, account, token));
        vm.prank(account);
        escrow.withdraw(token, outsider);
    }

    function test_nothingIsSentToTheZeroAddress() external {
        _fulfil(_place(_list()));
        _refuses(abi.encodeWithSelector(IInferenceEscrow.ReceiverIsZero.selector));
        vm.prank(worker);
        escrow.withdraw(ETH, address(0));

        Placed memory late = _place(_list());
        vm.warp(block.timestamp + 2 hours);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.ReceiverIsZero.selector));
        vm.prank(requester);
        escrow.refundAndWithdraw(late.id, address(0));
    }

    function test_moneyThatIsNotTakenStaysOwed() external {
        _fulfil(_place(_list()));
        uint256 owed = escrow.creditOf(ETH, worker);
        HostileAccount receiver = new HostileAccount();
        Behaviour[3] memory refusing = [Behaviour.Revert, Behaviour.RevertWithBomb, Behaviour.BurnGas];
        for (uint256 i = 0; i < refusing.length; ++i) {
            receiver.behave(refusing[i]);
            vm.prank(worker);
            (bool sent, bytes memory reason) = address(escrow).call{gas: 2_000_000}(
                abi.encodeCall(escrow.withdraw, (ETH, address(receiver)))
            );
            vm.assertTrue(!sent, "refused");
            vm.assertEq(
                reason,
                abi.encodeWithSelector(IInferenceEscrow.TransferFailed.selector, address(receiver), owed),
                "reason"
            );
            vm.assertEq(escrow.creditOf(ETH, worker), owed, "still owed");
        }
        vm.prank(worker);
        escrow.withdraw(ETH, outsider);
        vm.assertEq(outsider.balance, owed, "to another address");
    }

    function test_aPayeeThatTakesNoMoneyHarmsNobodyElse() external {
        HostileAccount refusing = new HostileAccount();
        refusing.behave(Behaviour.Revert);
        ModelTerms memory terms = _terms();
        terms.payee = address(refusing);
        _fulfil(_place(_list(terms, address(0))));
        uint256 owed = escrow.creditOf(ETH, worker);
        vm.prank(worker);
        escrow.withdraw(ETH, worker);
        vm.assertEq(worker.balance, owed, "the worker has its share");
        vm.prank(address(refusing));
        escrow.withdraw(ETH, outsider);
        vm.assertEq(outsider.balance, FEE - owed, "and the payee's can go elsewhere");
    }

    /// @dev Whoever comes back while it is paid gets the same money no second time, in no currency.
    function test_comingBackDuringAWithdrawalIsRefused() external {
        HostileAccount account = new HostileAccount();
        ModelTerms memory terms = _terms();
        terms.payee = address(account);
        Listing memory inEther = _list(terms, address(0));
        terms.token = address(coin);
        Listing memory inCoin = _list(terms, address(0));
        Placed memory late = _place(inEther);
        vm.warp(block.timestamp + 2 hours);
        bytes[3] memory attempts = [
            abi.encodeCall(escrow.withdraw, (ETH, address(account))),
            abi.encodeCall(escrow.withdraw, (address(coin), address(account))),
            abi.encodeCall(escrow.refundAndWithdraw, (late.id, address(account)))
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            _fulfil(_place(inEther));
            _fulfil(_place(inCoin));
            account.reenter(address(escrow), attempts[i]);
            uint256 owed = escrow.creditOf(ETH, address(account));
            uint256 before = address(account).balance;
            vm.prank(address(account));
            escrow.withdraw(ETH, address(account));
            vm.assertEq(account.succeeded(), false, "came back");
            vm.assertEq(
                account.answer(),
                abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
                "reason"
            );
            vm.assertEq(address(account).balance - before, owed, "paid once");
        }
    }

    function testFuzz_forcedEtherBelongsToNobody(uint96 forced) external {
        Placed memory placed = _place(_list());
        vm.deal(address(escrow), address(escrow).balance + forced);
        _fulfil(placed);
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), FEE, "credits");
        vm.prank(worker);
        escrow.withdraw(ETH, worker);
        vm.prank(payee);
        escrow.withdraw(ETH, payee);
        vm.assertEq(address(escrow).balance, forced, "what was forced in stays");
    }

    function test_etherComesInWithRequestsOnly() external {
        vm.deal(outsider, 1 ether);
        vm.prank(outsider);
        (bool taken,) = address(escrow).call{value: 1}("");
        vm.assertTrue(!taken, "plain ether");
        vm.prank(outsider);
        (taken,) = address(escrow).call{value: 1}(abi.encodeCall(escrow.refund, (0)));
        vm.assertTrue(!taken, "with any other call");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IInferenceEscrow, Query} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {HookedCoin, ICoinHooks} from "../actors/HookedCoin.sol";
import {HostileAccount} from "../actors/HostileAccount.sol";
import {HostileCoin, Mischief} from "../actors/HostileCoin.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract TokensTest is Market {
    HostileCoin private hostile;
    Listing private listing;

    function setUp() public override {
        super.setUp();
        hostile = new HostileCoin();
        _fund(requester, hostile);
        ModelTerms memory terms = _terms();
        terms.token = address(hostile);
        listing = _list(terms, address(0));
    }

    function test_aTokenWithoutReturnValuesWorks() external {
        hostile.misbehave(Mischief.ReturnNothing);
        _fulfil(_place(listing));
        uint256 owed = escrow.creditOf(address(hostile), worker);
        vm.prank(worker);
        escrow.withdraw(address(hostile), worker);
        vm.assertEq(hostile.balanceOf(worker), owed, "received");
    }

    function test_aDepositThatIsNotExactIsRefused() external {
        hostile.misbehave(Mischief.TakeFee);
        _refusesDeposit(abi.encodeWithSelector(IInferenceEscrow.InexactDeposit.selector, hostile, FEE - 1, FEE));
        hostile.misbehave(Mischief.DeliverMore);
        _refusesDeposit(abi.encodeWithSelector(IInferenceEscrow.InexactDeposit.selector, hostile, FEE + 1, FEE));
        hostile.misbehave(Mischief.DeliverNothing);
        _refusesDeposit(abi.encodeWithSelector(IInferenceEscrow.InexactDeposit.selector, hostile, 0, FEE));
        hostile.misbehave(Mischief.InflateBalance);
        _refusesDeposit(abi.encodeWithSelector(IInferenceEscrow.InexactDeposit.selector, hostile, 0, FEE));
        hostile.misbehave(Mischief.ReturnFalse);
        _refusesDeposit(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, hostile));
        hostile.misbehave(Mischief.Revert);
        _refusesDeposit(abi.encodeWithSignature("Error(string)", "no"));
    }

    function test_whatIsOwedInATokenThatFailsStaysOwed() external {
        _fulfil(_place(listing));
        uint256 owed = escrow.creditOf(address(hostile), worker);
        Mischief[3] memory failing = [Mischief.ReturnFalse, Mischief.Revert, Mischief.BurnGas];
        for (uint256 i = 0; i < failing.length; ++i) {
            hostile.misbehave(failing[i]);
            vm.prank(worker);
            (bool sent,) = address(escrow).call{gas: 500_000}(
                abi.encodeCall(escrow.withdraw, (address(hostile), worker))
            );
            vm.assertTrue(!sent, "failed");
            vm.assertEq(escrow.creditOf(address(hostile), worker), owed, "still owed");
        }
        hostile.misbehave(Mischief.None);
        vm.prank(worker);
        escrow.withdraw(address(hostile), worker);
    }

    /// @dev A token that stops working strands its own money and no other.
    function testFuzz_aTokenHarmsItselfAlone(uint256 mischief) external {
        Placed memory inHostile = _place(listing);
        Placed memory inCoin = _place(_listInCoin());
        Placed memory inEther = _place(_list());
        hostile.misbehave(Mischief(1 + mischief % uint256(type(Mischief).max)));
        _fulfil(inHostile);
        _fulfil(inCoin);
        vm.warp(block.timestamp + 2 hours);
        escrow.refund(inEther.id);

        uint256 owed = escrow.creditOf(address(coin), worker);
        vm.prank(worker);
        escrow.withdraw(address(coin), worker);
        vm.assertEq(coin.balanceOf(worker), owed, "the other token is whole");
        vm.prank(requester);
        vm.assertEq(escrow.withdraw(ETH, requester), FEE, "and so is ether");
    }

    function test_aTokenThatComesBackDuringADepositGainsNothing() external {
        _fulfil(_place(listing));
        bytes memory guarded =
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.prank(worker);
        escrow.withdraw(address(hostile), address(hostile));
        _fulfil(_place(listing));

        hostile.reenter(address(escrow), abi.encodeCall(escrow.withdraw, (address(hostile), address(hostile))));
        _place(listing);
        vm.assertEq(hostile.succeeded(), false, "withdrawal during a deposit");
        vm.assertEq(hostile.answer(), guarded, "reason");

        vm.prank(worker);
        escrow.withdraw(address(hostile), worker);
        vm.assertEq(hostile.succeeded(), false, "withdrawal during a withdrawal");
        vm.assertEq(hostile.answer(), guarded, "reason");
    }

    /// @dev One deposit measured twice would hold two fees.
    function test_oneDepositDoesNotPayForTwoRequests() external {
        HookedCoin hooked = new HookedCoin();
        ModelTerms memory terms = _terms();
        (terms.token, terms.open) = (address(hooked), true);
        Listing memory inHooked = _list(terms, address(0));
        HostileAccount account = new HostileAccount();
        _fund(address(account), hooked);
        Query memory nested = _query();
        account.reenter(
            address(escrow), abi.encodeCall(escrow.request, (inHooked.modelId, inHooked.versionId, nested, INPUT))
        );

        _placeBy(address(account), inHooked, _query());

        vm.assertEq(account.succeeded(), false, "nested request");
        vm.assertEq(
            account.answer(),
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "reason"
        );
        vm.assertEq(hooked.balanceOf(address(escrow)), FEE, "one fee for one request");
        vm.assertTrue(account.calls() != 0, "the hook ran");
    }

    function test_aRequesterWithoutAllowanceHoldsNothing() external {
        vm.prank(requester);
        coin.approve(address(escrow), FEE - 1);
        Listing memory inCoin = _listInCoin();
        vm.prank(requester);
        try escrow.request(inCoin.modelId, inCoin.versionId, _query(), INPUT) {
            revert("it was placed");
        } catch (bytes memory reason) {
            vm.assertEq(
                bytes4(reason), bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")), "reason"
            );
        }
        vm.assertEq(dataShare.grantOf(owner, requester, inCoin.modelId).uses, 10, "quota");
    }

    function testFuzz_depositsOnTopOfABalanceAreMeasuredByThemselves(uint96 donated) external {
        coin.mint(address(escrow), donated);
        Listing memory inCoin = _listInCoin();
        _place(inCoin);
        _place(inCoin);
        vm.assertEq(coin.balanceOf(address(escrow)), donated + 2 * FEE, "balance");
        vm.assertEq(IERC20(address(coin)).balanceOf(requester), type(uint128).max - 2 * FEE, "paid");
    }

    function _refusesDeposit(bytes memory refusal) private {
        Query memory query = _query();
        _refuses(refusal);
        vm.prank(requester);
        escrow.request(listing.modelId, listing.versionId, query, INPUT);
    }
}

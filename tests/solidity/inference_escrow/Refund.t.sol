// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IInferenceEscrow, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract RefundTest is Market {
    function testFuzz_anyoneHasTheWholeFeeCreditedToThePayer(uint256 fee, bool inCoin, uint40 late, address caller)
        external
    {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        Placed memory placed = _place(_list(terms, address(0)));
        vm.warp(uint256(placed.terms.query.deadline) + 1 + late);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceRefunded(placed.id, requester, terms.token, terms.fee);
        vm.prank(caller);
        escrow.refund(placed.id);

        vm.assertEq(escrow.creditOf(terms.token, requester), terms.fee, "credit");
        (RequestStatus status, bytes31 commitment) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Refunded && commitment == 0, "no result");
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, placed.id, RequestStatus.Refunded)
        );
        escrow.refund(placed.id);
    }

    function testFuzz_whatWasNeverRequestedIsNotRefunded(bytes32 id) external {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, id, RequestStatus.None));
        escrow.refund(id);
    }

    /// @dev Open, late, answered, unknown, held and repeated ids in any order.
    function testFuzz_ofManyThoseThatAreDueAreRefunded(uint256 kinds, uint256 count) external {
        Listing memory listing = _list();
        Listing memory judged = _list(_terms(), verifier);
        bytes32[] memory ids = new bytes32[](1 + count % 8);
        uint256 due = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 kind = (kinds >> 8 * i) % 6;
            if (kind == 0) {
                ids[i] = keccak256(abi.encode(i));
            } else if (kind == 1 && i != 0) {
                ids[i] = ids[i - 1];
            } else {
                Placed memory placed = _place(kind > 3 ? judged : listing);
                ids[i] = placed.id;
                if (kind == 2) _fulfil(placed);
                if (kind == 3 || kind == 1) ++due;
                if (kind > 3) {
                    vm.prank(verifier);
                    escrow.hold(placed.offer, placed.terms, worker, uint40(START + (kind == 4 ? 2 hours : 3 hours)));
                }
                if (kind == 4) ++due;
            }
        }
        vm.warp(START + 2 hours + 1);
        vm.assertEq(escrow.refundMany(ids), due, "refunded");
        vm.assertEq(escrow.creditOf(ETH, requester), due * FEE, "credit");
        vm.assertEq(escrow.refundMany(ids), 0, "once");
    }

    function test_refundsInATokenAndInEtherDoNotMix() external {
        bytes32[] memory ids = new bytes32[](2);
        ids[0] = _place(_list()).id;
        ids[1] = _place(_listInCoin()).id;
        vm.warp(block.timestamp + 2 hours);
        vm.assertEq(escrow.refundMany(ids), 2, "refunded");
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "in ether");
        vm.assertEq(escrow.creditOf(address(coin), requester), FEE, "in the token");
    }

    function testFuzz_aRefundCanBeWithdrawnInOneGo(bool inCoin, uint256 earlier) external {
        earlier %= 3;
        Listing memory listing = inCoin ? _listInCoin() : _list();
        Placed memory placed;
        for (uint256 i = 0; i <= earlier; ++i) {
            placed = _place(listing);
            vm.warp(block.timestamp + 2 hours);
            if (i < earlier) escrow.refund(placed.id);
        }
        vm.prank(requester);
        uint256 amount = escrow.refundAndWithdraw(placed.id, outsider);
        vm.assertEq(amount, (1 + earlier) * FEE, "all that was owed");
        vm.assertEq(inCoin ? coin.balanceOf(outsider) : outsider.balance, amount, "received");
        vm.assertEq(escrow.creditOf(inCoin ? address(coin) : ETH, requester), 0, "nothing is owed any more");
    }

    function test_whoRefundsForAnotherWithdrawsOnlyItsOwn() external {
        Placed memory placed = _place(_list());
        vm.warp(block.timestamp + 2 hours);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NothingToWithdraw.selector, outsider, ETH));
        vm.prank(outsider);
        escrow.refundAndWithdraw(placed.id, outsider);
        vm.assertTrue(_statusOf(placed.id) == RequestStatus.Open, "as if nothing had happened");
    }

    function test_noPayerCanPreventARefund() external {
        HostileAccount payer = new HostileAccount();
        vm.deal(address(payer), FEE);
        payer.behave(Behaviour.Revert);
        Listing memory listing = _list();
        _grantInfer(listing.modelId, address(payer), 1);
        bytes32[] memory ids = new bytes32[](2);
        ids[0] = _placeBy(address(payer), listing, _query()).id;
        ids[1] = _place(listing).id;
        vm.warp(block.timestamp + 2 hours);
        vm.assertEq(escrow.refundMany(ids), 2, "both");
    }
}

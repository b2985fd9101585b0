// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow, Query, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, ModelTerms, Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Listing, Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract RequestManyTest is Market {
    function testFuzz_manyRequestsAreOneAfterTheOther(uint256 count, uint256 fee, bool inCoin, bool open) external {
        count %= 11;
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        terms.open = open;
        Listing memory listing = _list(terms, address(0));
        (Offer memory offer,,) = registry.quote(listing.modelId, listing.versionId);
        (Query[] memory queries, bytes[] memory inputs) = _queries(count);

        vm.recordLogs();
        vm.prank(requester);
        bytes32[] memory ids = escrow.requestMany{value: inCoin ? 0 : count * terms.fee}(
            listing.modelId, listing.versionId, queries, inputs
        );

        vm.assertEq(ids.length, count, "as many ids");
        for (uint256 i = 0; i < count; ++i) {
            Request memory placed = Request(requester, requester, queries[i]);
            vm.assertEq(ids[i], _idOf(offer, placed), "id");
            vm.assertEq(escrow.requestOf(ids[i]).fee, terms.fee, "fee");
            vm.assertEq(escrow.requestOf(ids[i]).payer, requester, "payer");
        }
        uint256 balance = inCoin ? coin.balanceOf(address(escrow)) : address(escrow).balance;
        vm.assertEq(balance, count * terms.fee, "the fees are held");
        vm.assertEq(dataShare.grantOf(owner, requester, listing.modelId).uses, open ? 10 : 10 - count, "quota");
    }

    function test_eachIsAnnouncedWithItsOwnInput() external {
        Listing memory listing = _list();
        (Offer memory offer,,) = registry.quote(listing.modelId, listing.versionId);
        (Query[] memory queries, bytes[] memory inputs) = _queries(2);
        for (uint256 i = 0; i < 2; ++i) {
            Request memory terms = Request(requester, requester, queries[i]);
            _announces(address(escrow));
            emit IInferenceEscrow.InferenceRequested(
                _idOf(offer, terms), listing.modelId, requester, offer, terms, inputs[i]
            );
        }
        _askMany(listing, queries, inputs, 2 * FEE);
    }

    function test_allOfThemOrNone() external {
        Listing memory listing = _list();
        (Offer memory offer,,) = registry.quote(listing.modelId, listing.versionId);
        (Query[] memory queries, bytes[] memory inputs) = _queries(3);

        queries[2] = queries[0];
        bytes32 id = _idOf(offer, Request(requester, requester, queries[0]));
        _refuses(abi.encodeWithSelector(IInferenceEscrow.RequestExists.selector, id, RequestStatus.Open));
        _askMany(listing, queries, inputs, 3 * FEE);

        (queries, inputs) = _queries(11);
        _refusesAccess(requester, listing.modelId, Access.QuotaExhausted);
        _askMany(listing, queries, inputs, 11 * FEE);

        (queries, inputs) = _queries(3);
        queries[1].flags = 2;
        _refuses(abi.encodeWithSelector(IInferenceEscrow.UnknownFlags.selector, 2, 1));
        _askMany(listing, queries, inputs, 3 * FEE);
    }

    function testFuzz_theValueIsTheSumOfTheFees(uint256 count, uint128 sent) external {
        Listing memory listing = _list();
        (Query[] memory queries, bytes[] memory inputs) = _queries(count % 5);
        uint256 fees = queries.length * FEE;
        vm.assume(sent != fees);

        _refuses(abi.encodeWithSelector(IInferenceEscrow.WrongFee.selector, sent, fees));
        _askMany(listing, queries, inputs, sent);
    }

    function test_asManyInputsAsQueries() external {
        Listing memory listing = _list();
        (Query[] memory queries,) = _queries(2);
        for (uint256 length = 1; length < 4; length += 2) {
            _refuses(abi.encodeWithSelector(IInferenceEscrow.LengthMismatch.selector, 2, length));
            _askMany(listing, queries, new bytes[](length), 2 * FEE);
        }
    }

    function _queries(uint256 count) private returns (Query[] memory queries, bytes[] memory inputs) {
        queries = new Query[](count);
        inputs = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            queries[i] = _query();
            inputs[i] = abi.encodePacked(bytes1(0), i);
        }
    }

    function _askMany(Listing memory listing, Query[] memory queries, bytes[] memory inputs, uint256 value) private {
        vm.prank(requester);
        escrow.requestMany{value: value}(listing.modelId, listing.versionId, queries, inputs);
    }
}

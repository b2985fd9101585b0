// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Query,
    Request,
    RequestState,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, ModelTerms, Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract RequestTest is Market {
    function testFuzz_aRequestHoldsItsFeeUnderTheDigestOfAllItsTerms(
        ModelTerms memory terms,
        Query memory query,
        bytes memory input,
        bool inCoin
    ) external {
        terms.token = inCoin ? address(coin) : ETH;
        terms.fee = inCoin ? terms.fee % 2 ** 96 : terms.fee % 2 ** 48 * 1 gwei;
        terms.payeeBps %= 10_001;
        if (terms.maxDelay == 0) terms.maxDelay = 1;
        query.deadline = uint40(_within(query.deadline, block.timestamp + 1, block.timestamp + terms.maxDelay));
        query.flags %= 2;
        query.callbackGas %= 1_000_001;
        if (query.callbackGas != 0) query.replyKey = 0;
        Listing memory listing = _list(terms, verifier);

        Placed memory placed;
        placed.offer = Offer({
            modelId: listing.modelId,
            versionId: listing.versionId,
            owner: owner,
            payee: terms.payee == address(0) ? owner : terms.payee,
            payeeBps: terms.payeeBps,
            token: terms.token,
            fee: terms.fee,
            verifier: verifier
        });
        placed.terms = Request({requester: requester, payer: requester, query: query});
        placed.id = _idOf(placed.offer, placed.terms);
        vm.assertEq(escrow.idOf(placed.offer, placed.terms), placed.id, "idOf");

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceRequested(
            placed.id, listing.modelId, requester, placed.offer, placed.terms, input
        );
        vm.prank(requester);
        bytes32 id = escrow.request{value: inCoin ? 0 : terms.fee}(listing.modelId, listing.versionId, query, input);

        vm.assertEq(id, placed.id, "id");
        RequestState memory state = escrow.requestOf(id);
        vm.assertTrue(state.status == (inCoin ? RequestStatus.OpenErc20 : RequestStatus.Open), "status");
        vm.assertEq(state.payer, requester, "payer");
        vm.assertEq(state.token, terms.token, "token");
        vm.assertEq(state.fee, terms.fee, "fee");
        vm.assertEq(state.deadline, query.deadline, "deadline");
        vm.assertEq(state.commitment, bytes31(0), "no result yet");
        (RequestStatus status, bytes31 commitment) = escrow.resultOf(id);
        vm.assertTrue(status == state.status && commitment == 0, "resultOf");
        uint256 balance = inCoin ? coin.balanceOf(address(escrow)) : address(escrow).balance;
        vm.assertEq(balance, terms.fee, "the fee is held");
        uint24 left = dataShare.grantOf(owner, requester, listing.modelId).uses;
        vm.assertEq(left, terms.open ? 10 : 9, "quota");
    }

    // --- deadline ---------------------------------------------------------------------------------

    function testFuzz_aDeadlineIsAcceptedIfItIsAheadAndWithinTheBound(uint40 deadline, uint24 maxDelay, bool near)
        external
    {
        ModelTerms memory terms = _terms();
        terms.maxDelay = maxDelay = maxDelay == 0 ? 1 : maxDelay;
        Listing memory listing = _list(terms, address(0));
        Query memory query = _query();
        query.deadline = near ? uint40(block.timestamp - 2 + deadline % (uint256(maxDelay) + 5)) : deadline;

        if (query.deadline > block.timestamp && query.deadline <= block.timestamp + maxDelay) {
            vm.assertEq(escrow.requestOf(_place(listing, query).id).deadline, query.deadline, "deadline");
        } else {
            _refusesDeadline(query.deadline, block.timestamp + maxDelay);
            _ask(listing, query, FEE);
        }
    }

    function test_aDeadlineOfNowIsRefusedAndTheBoundIsInclusive() external {
        Listing memory listing = _list();
        Query memory query = _query();
        uint256 latest = block.timestamp + 1 days;

        uint40[2] memory refused = [uint40(block.timestamp), uint40(latest + 1)];
        for (uint256 i = 0; i < refused.length; ++i) {
            query.deadline = refused[i];
            _refusesDeadline(query.deadline, latest);
            _ask(listing, query, FEE);
        }
        uint40[2] memory accepted = [uint40(block.timestamp + 1), uint40(latest)];
        for (uint256 i = 0; i < accepted.length; ++i) {
            query.deadline = accepted[i];
            _place(listing, query);
        }
    }

    function test_aDeadlineBeyond32BitsIsNotCutShort() external {
        Listing memory listing = _list();
        vm.warp(2 ** 32 - 10);
        Query memory query = _query();
        query.deadline = 2 ** 32 + 1;
        Placed memory placed = _place(listing, query);

        vm.warp(2 ** 32 + 1);
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.DeadlineNotPassed.selector, 2 ** 32 + 1, block.timestamp)
        );
        escrow.refund(placed.id);
        vm.warp(2 ** 32 + 2);
        escrow.refund(placed.id);
    }

    // --- fee --------------------------------------------------------------------------------------

    function testFuzz_anyOtherValueThanTheFeeIsRefused(uint256 fee, uint128 sent) external {
        ModelTerms memory terms = _terms();
        terms.fee = fee % 2 ** 48 * 1 gwei;
        Listing memory listing = _list(terms, address(0));
        vm.assume(sent != terms.fee);

        _refuses(abi.encodeWithSelector(IInferenceEscrow.WrongFee.selector, sent, terms.fee));
        _ask(listing, _query(), sent);
    }

    function testFuzz_aRequestInATokenTakesNoEther(uint128 sent) external {
        Listing memory listing = _listInCoin();
        vm.assume(sent != 0);

        _refuses(abi.encodeWithSelector(IInferenceEscrow.WrongFee.selector, sent, 0));
        _ask(listing, _query(), sent);
    }

    function test_theLargestFeesAreHeldWhole() external {
        ModelTerms memory terms = _terms();
        terms.fee = (2 ** 48 - 1) * 1 gwei;
        Placed memory inEther = _place(_list(terms, address(0)));
        vm.assertEq(escrow.requestOf(inEther.id).fee, 281_474_976_710_655 gwei, "in ether");

        terms.token = address(coin);
        terms.fee = 2 ** 96 - 1;
        Placed memory inCoin = _place(_list(terms, address(0)));
        vm.assertEq(escrow.requestOf(inCoin.id).fee, 2 ** 96 - 1, "in a token");
    }

    // --- the query --------------------------------------------------------------------------------

    function testFuzz_flagsThatMeanNothingAreRefused(uint8 flags) external {
        Listing memory listing = _list();
        Query memory query = _query();
        query.flags = flags;

        if (flags > 1) _refuses(abi.encodeWithSelector(IInferenceEscrow.UnknownFlags.selector, flags, 1));
        _ask(listing, query, FEE);
    }

    function testFuzz_aCallbackHasBoundedGasAndAClearOutput(uint32 callbackGas, bytes32 replyKey, bool near) external {
        Listing memory listing = _list();
        Query memory query = _query();
        query.callbackGas = near ? 999_999 + callbackGas % 3 : callbackGas;
        query.replyKey = replyKey;

        if (query.callbackGas > 1_000_000) {
            _refuses(
                abi.encodeWithSelector(IInferenceEscrow.CallbackGasTooHigh.selector, query.callbackGas, 1_000_000)
            );
        } else if (query.callbackGas != 0 && replyKey != 0) {
            _refuses(abi.encodeWithSelector(IInferenceEscrow.CallbackNeedsClearOutput.selector, replyKey));
        }
        _ask(listing, query, FEE);
    }

    // --- once -------------------------------------------------------------------------------------

    function test_theSameTermsArePlacedOnceAndForAll() external {
        Listing memory listing = _list();
        Query memory query = _query();
        Placed memory placed = _place(listing, query);

        _refusesExisting(placed.id, RequestStatus.Open);
        _ask(listing, query, FEE);
        _fulfil(placed);
        _refusesExisting(placed.id, RequestStatus.Fulfilled);
        _ask(listing, query, FEE);

        query = _query();
        placed = _place(listing, query);
        vm.prank(worker);
        escrow.refuse(placed.offer, placed.terms, 1);
        _refusesExisting(placed.id, RequestStatus.Refused);
        _ask(listing, query, FEE);
    }

    // --- access -----------------------------------------------------------------------------------

    function test_aRequestNeedsALiveGrantWithUsesLeftForThisEscrow() external {
        Listing memory listing = _list();
        bytes32 modelId = listing.modelId;
        _grantInfer(modelId, requester, 1);
        _place(listing);
        _refusesAccess(requester, modelId, Access.QuotaExhausted);
        _ask(listing, _query(), FEE);

        GrantTerms memory terms = GrantTerms(INFER, uint40(block.timestamp + 5), 9, address(escrow));
        vm.prank(owner);
        dataShare.grant(requester, modelId, terms, "");
        vm.warp(block.timestamp + 5);
        _place(listing);
        vm.warp(block.timestamp + 1);
        _refusesAccess(requester, modelId, Access.Expired);
        _ask(listing, _query(), FEE);

        _grantInfer(modelId, requester, 1);
        vm.prank(owner);
        dataShare.revokeAccess(requester);
        _refusesAccess(requester, modelId, Access.Revoked);
        _ask(listing, _query(), FEE);

        _grantServe(modelId, requester);
        _refusesAccess(requester, modelId, Access.RightMissing);
        _ask(listing, _query(), FEE);

        vm.prank(owner);
        dataShare.revoke(requester, modelId);
        _refusesAccess(requester, modelId, Access.NotGranted);
        _ask(listing, _query(), FEE);

        (terms.expiry, terms.meter) = (NEVER, outsider);
        vm.prank(owner);
        dataShare.grant(requester, modelId, terms, "");
        _refuses(abi.encodeWithSelector(IDataShare.NotMeter.selector, outsider, address(escrow)));
        _ask(listing, _query(), FEE);
    }

    function test_anOpenModelAsksForNoGrantAndConsumesNone() external {
        ModelTerms memory terms = _terms();
        terms.open = true;
        Listing memory listing = _list(terms, address(0));
        vm.deal(outsider, FEE);
        _placeBy(outsider, listing, _query());
        _place(listing);
        vm.assertEq(dataShare.grantOf(owner, requester, listing.modelId).uses, 10, "quota");
    }

    function test_whatIsNotOfferedCannotBeRequested() external {
        Listing memory listing = _list();
        vm.prank(owner);
        registry.retireModel(listing.modelId);
        _refuses(abi.encodeWithSelector(IModelRegistry.ModelIsRetired.selector, listing.modelId));
        _ask(listing, _query(), FEE);
    }

    function _ask(Listing memory listing, Query memory query, uint256 value) private {
        vm.prank(requester);
        escrow.request{value: value}(listing.modelId, listing.versionId, query, INPUT);
    }

    function _refusesDeadline(uint256 deadline, uint256 latest) private {
        _refuses(
            abi.encodeWithSelector(
                IInferenceEscrow.DeadlineOutOfBounds.selector, deadline, block.timestamp, latest
            )
        );
    }

    function _refusesExisting(bytes32 id, RequestStatus status) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.RequestExists.selector, id, status));
    }
}

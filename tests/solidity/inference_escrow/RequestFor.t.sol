// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access} from "../../../contracts/interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Query,
    Request,
    RequestState,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms, Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Signer} from "../actors/Signer.sol";
import {Digests} from "../market/Digests.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {SignatureRefusals} from "../market/SignatureRefusals.sol";
import {vm} from "../market/Vm.sol";

contract RequestForTest is Market, SignatureRefusals {
    function testFuzz_aSponsorPaysForWhatTheRequesterSigned(uint256 fee, bool inCoin, bytes memory input) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        Listing memory listing = _list(terms, address(0));
        Placed memory signed = _signable(listing);
        uint256 value = inCoin ? 0 : terms.fee;
        uint256 before = inCoin ? coin.balanceOf(sponsor) : sponsor.balance;

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceRequested(
            signed.id, listing.modelId, requester, signed.offer, signed.terms, input
        );
        vm.prank(sponsor);
        bytes32 id = escrow.requestFor{value: value}(
            listing.modelId, listing.versionId, signed.terms, input, _sign(REQUESTER_KEY, signed.id)
        );

        vm.assertEq(id, signed.id, "id");
        RequestState memory state = escrow.requestOf(id);
        vm.assertEq(state.payer, sponsor, "the sponsor is the payer");
        vm.assertEq(state.fee, terms.fee, "fee");
        vm.assertEq(before - (inCoin ? coin.balanceOf(sponsor) : sponsor.balance), terms.fee, "the sponsor paid");
        vm.assertEq(dataShare.grantOf(owner, requester, listing.modelId).uses, 9, "the requester's quota");

        vm.warp(block.timestamp + 2 hours);
        escrow.refund(id);
        vm.assertEq(escrow.creditOf(terms.token, sponsor), terms.fee, "refunded to the sponsor");
    }

    function test_onlyTheNamedPayerMaySubmit() external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotPayer.selector, sponsor, requester));
        _submitBy(requester, listing, signed, _sign(REQUESTER_KEY, signed.id));
    }

    function test_aSponsorOfAnOpenModelNeedsNoGrantOfTheRequester() external {
        ModelTerms memory terms = _terms();
        terms.open = true;
        Listing memory listing = _list(terms, address(0));
        Placed memory signed = _signable(listing);
        _submit(listing, signed, _sign(REQUESTER_KEY, signed.id));
        vm.assertEq(dataShare.grantOf(owner, requester, listing.modelId).uses, 10, "quota");
    }

    function test_theRequestersQuotaCountsNotTheSponsors() external {
        Listing memory listing = _list();
        _grantInfer(listing.modelId, requester, 1);
        _grantInfer(listing.modelId, sponsor, 5);
        _place(listing);
        Placed memory signed = _signable(listing);
        _refusesAccess(requester, listing.modelId, Access.QuotaExhausted);
        _submit(listing, signed, _sign(REQUESTER_KEY, signed.id));
    }

    function test_aSignatureIsUsedOnce() external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        bytes memory signature = _sign(REQUESTER_KEY, signed.id);
        _submit(listing, signed, signature);
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.RequestExists.selector, signed.id, RequestStatus.Open)
        );
        _submit(listing, signed, signature);
    }

    function testFuzz_aChangedOfferOrRequestIsNotWhatWasSigned(uint256 field, uint256 change) external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        bytes memory signature = _sign(REQUESTER_KEY, signed.id);
        field %= 6;
        Query memory query = signed.terms.query;
        if (field == 0) query.worker = address(uint160(change | 1));
        if (field == 1) query.inputHash = keccak256(abi.encode(change));
        if (field == 2) query.replyKey = bytes32(change | 1);
        if (field == 3) query.deadline -= uint40(1 + change % 3_599);
        if (field == 4) query.callbackGas = uint32(1 + change % 1_000_000);
        if (field == 5) {
            ModelTerms memory terms = _terms();
            terms.fee = change % FEE / 1 gwei * 1 gwei;
            vm.prank(owner);
            registry.setTerms(listing.modelId, terms);
        }

        _refusesSigner(listing, signed, signature);
    }

    function testFuzz_aBadSignatureIsRefusedForWhatIsWrongWithIt(uint256 kind, uint256 salt) external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        (bytes memory signature, bytes memory refusal) = _badSignature(REQUESTER_KEY, signed.id, kind, salt);
        _refuses(refusal);
        _submit(listing, signed, signature);
    }

    function testFuzz_aSignatureForAnotherChainOrEscrowIsRefused(uint64 chain, address elsewhere) external {
        vm.assume(chain != 0 && chain != block.chainid && elsewhere != address(escrow));
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        bytes memory signature = _sign(REQUESTER_KEY, signed.id);
        bytes memory foreign = _sign(REQUESTER_KEY, Digests.ofRequest(elsewhere, signed.offer, signed.terms));
        uint256 home = block.chainid;

        _refusesSigner(listing, signed, foreign);
        vm.chainId(chain);
        _refusesSigner(listing, signed, signature);
        vm.chainId(home);
        _submit(listing, signed, signature);
    }

    function test_aContractAcceptsWhatItSignedAndNothingElse() external {
        Signer account = new Signer();
        Listing memory listing = _list();
        _grantInfer(listing.modelId, address(account), 2);
        Placed memory signed = _signable(listing);
        signed.terms.requester = address(account);
        signed.id = _idOf(signed.offer, signed.terms);

        account.sign(signed.id, hex"1234");
        _refuses(abi.encodeWithSignature("SignatureRefused(address)", account));
        _submit(listing, signed, hex"1235");
        _submit(listing, signed, hex"1234");
        vm.assertEq(dataShare.grantOf(owner, address(account), listing.modelId).uses, 1, "quota");
    }

    function testFuzz_aContractThatSaysAnythingElseHasNotSigned(uint256 word) external {
        Signer account = new Signer();
        Listing memory listing = _list();
        _grantInfer(listing.modelId, address(account), 2);
        Placed memory signed = _signable(listing);
        signed.terms.requester = address(account);
        bytes memory refusal = _misspeak(account, word);

        vm.prank(sponsor);
        (bool accepted, bytes memory reason) = address(escrow).call{value: FEE, gas: 20_000_000}(
            abi.encodeCall(
                escrow.requestFor, (listing.modelId, listing.versionId, signed.terms, INPUT, hex"1234")
            )
        );
        vm.assertTrue(!accepted, "taken for signed");
        vm.assertEq(reason, refusal, "reason");
    }

    function test_anAccountWithDelegatedCodeStillSignsWithItsKey() external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        vm.etch(requester, abi.encodePacked(hex"ef0100", address(new Signer())));
        _submit(listing, signed, _sign(REQUESTER_KEY, signed.id));
    }

    // --- cancelling -------------------------------------------------------------------------------

    function test_aCancelledSignatureIsVoid() external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);

        _announces(address(escrow));
        emit IInferenceEscrow.RequestCancelled(signed.id, requester);
        vm.prank(requester);
        escrow.cancel(signed.offer, signed.terms);

        vm.assertTrue(_statusOf(signed.id) == RequestStatus.Cancelled, "status");
        (, bytes31 commitment) = escrow.resultOf(signed.id);
        vm.assertEq(commitment, bytes31(0), "no result");
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.RequestExists.selector, signed.id, RequestStatus.Cancelled)
        );
        _submit(listing, signed, _sign(REQUESTER_KEY, signed.id));
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, signed.id, RequestStatus.Cancelled)
        );
        escrow.refund(signed.id);
    }

    function test_onlyTheRequesterCancelsAndOnlyWhatIsNotPlaced() external {
        Listing memory listing = _list();
        Placed memory signed = _signable(listing);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotRequester.selector, requester, sponsor));
        vm.prank(sponsor);
        escrow.cancel(signed.offer, signed.terms);

        _submit(listing, signed, _sign(REQUESTER_KEY, signed.id));
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.RequestExists.selector, signed.id, RequestStatus.Open)
        );
        vm.prank(requester);
        escrow.cancel(signed.offer, signed.terms);
    }

    function _signable(Listing memory listing) private returns (Placed memory signed) {
        (signed.offer,,) = registry.quote(listing.modelId, listing.versionId);
        signed.terms = Request({requester: requester, payer: sponsor, query: _query()});
        signed.id = _idOf(signed.offer, signed.terms);
    }

    function _refusesSigner(Listing memory listing, Placed memory signed, bytes memory signature) private {
        vm.prank(sponsor);
        try escrow.requestFor{value: FEE}(listing.modelId, listing.versionId, signed.terms, INPUT, signature) {
            revert("it was taken for signed");
        } catch (bytes memory reason) {
            vm.assertEq(bytes4(reason), bytes4(keccak256("WrongSigner(address,address)")), "reason");
        }
    }

    function _submit(Listing memory listing, Placed memory signed, bytes memory signature) private {
        _submitBy(sponsor, listing, signed, signature);
    }

    function _submitBy(address by, Listing memory listing, Placed memory signed, bytes memory signature) private {
        vm.prank(by);
        escrow.requestFor{value: FEE}(listing.modelId, listing.versionId, signed.terms, INPUT, signature);
    }
}

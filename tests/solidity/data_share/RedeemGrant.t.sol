// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, GrantTerms, IDataShare, SignedGrant} from "../../../contracts/interfaces/IDataShare.sol";
import {Signer} from "../actors/Signer.sol";
import {Digests} from "../market/Digests.sol";
import {Market} from "../market/Market.sol";
import {SignatureRefusals} from "../market/SignatureRefusals.sol";
import {vm} from "../market/Vm.sol";

contract RedeemGrantTest is Market, SignatureRefusals {
    bytes32 private constant RESOURCE = keccak256("resource");
    bytes private constant KEY = hex"beef";
    /// @dev The nonce to begin with, once signed grants have been allowed for the first time.
    uint64 private constant FIRST = 1 << 32;

    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        dataShare.allowSignedGrants(true);
        vm.prank(outsider);
        dataShare.registerKey(RESOURCE);
    }

    function testFuzz_anyoneHandsInWhatTheOwnerSigned(GrantTerms memory terms, bytes memory wrappedKey, address relayer)
        external
    {
        terms.rights = 1 + terms.rights % 7;
        terms.expiry = uint40(_within(terms.expiry, block.timestamp, NEVER));
        if (terms.uses == 0) terms.uses = 1;
        if (terms.meter == address(0)) terms.meter = address(escrow);
        SignedGrant memory signed = _grantable();
        signed.terms = terms;
        bytes memory signature = _sign(OWNER_KEY, Digests.ofGrant(address(dataShare), signed, wrappedKey));

        _announces(address(dataShare));
        emit IDataShare.AccessGranted(
            owner, outsider, RESOURCE, terms.rights, terms.expiry, terms.uses, terms.meter, 0, wrappedKey
        );
        vm.prank(relayer);
        dataShare.redeemGrant(signed, wrappedKey, signature);

        Grant memory stored = dataShare.grantOf(owner, outsider, RESOURCE);
        vm.assertTrue(stored.rights == terms.rights && stored.expiry == terms.expiry, "stored");
        vm.assertTrue(stored.uses == terms.uses && stored.meter == terms.meter, "stored");
        vm.assertEq(dataShare.nonceOf(owner, outsider), FIRST + 1, "nonce");
        _refuses(abi.encodeWithSelector(IDataShare.WrongNonce.selector, FIRST, FIRST + 1));
        dataShare.redeemGrant(signed, wrappedKey, signature);
    }

    function testFuzz_aChangedGrantIsNotWhatWasSigned(uint256 field, uint256 change) external {
        SignedGrant memory signed = _grantable();
        bytes memory signature = _signed(signed);
        bytes memory wrappedKey = KEY;
        field %= 8;
        if (field == 0) signed.grantee = vm.addr(1_000 + change % 1_000_000);
        if (field == 1) signed.resource = keccak256(abi.encode(change));
        if (field == 2) signed.terms.rights = SERVE;
        if (field == 3) signed.terms.expiry = uint40(START + change % 1_000);
        if (field == 4) signed.terms.uses = uint24(8 + change % 1_000);
        if (field == 5) signed.terms.meter = address(uint160(change | 1));
        if (field == 6) signed.deadline += 1 + change % 1_000;
        if (field == 7) wrappedKey = abi.encode(change);
        try dataShare.redeemGrant(signed, wrappedKey, signature) {
            revert("it was taken for signed");
        } catch (bytes memory reason) {
            vm.assertEq(bytes4(reason), bytes4(keccak256("WrongSigner(address,address)")), "reason");
        }
    }

    function testFuzz_aSignatureForAnotherChainOrContractIsRefused(uint64 chain, address elsewhere) external {
        vm.assume(chain != 0 && chain != block.chainid && elsewhere != address(dataShare));
        SignedGrant memory signed = _grantable();
        _refusesSigner(signed, _sign(OWNER_KEY, Digests.ofGrant(elsewhere, signed, KEY)));
        bytes memory signature = _signed(signed);
        uint256 home = block.chainid;
        vm.chainId(chain);
        _refusesSigner(signed, signature);
        vm.chainId(home);
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function testFuzz_aBadSignatureIsRefusedForWhatIsWrongWithIt(uint256 kind, uint256 salt) external {
        SignedGrant memory signed = _grantable();
        (bytes memory signature, bytes memory refusal) =
            _badSignature(OWNER_KEY, Digests.ofGrant(address(dataShare), signed, KEY), kind, salt);
        _refuses(refusal);
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function test_nobodySignsForTheZeroAddress() external {
        vm.prank(address(0));
        dataShare.allowSignedGrants(true);
        SignedGrant memory signed = _grantable();
        signed.owner = address(0);
        _refuses(abi.encodeWithSignature("SignerIsZero()"));
        dataShare.redeemGrant(signed, KEY, abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(27)));
    }

    function test_aSignatureIsRedeemedUntilItsDeadline() external {
        SignedGrant memory signed = _grantable();
        bytes memory signature = _signed(signed);
        vm.warp(signed.deadline + 1);
        _refuses(abi.encodeWithSelector(IDataShare.SignatureExpired.selector, signed.deadline, block.timestamp));
        dataShare.redeemGrant(signed, KEY, signature);
        vm.warp(signed.deadline);
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function testFuzz_generationAndNonceMustBeTheCurrentOnes(uint24 generation, uint64 nonce, uint256 steps) external {
        vm.startPrank(owner);
        for (uint256 i = 0; i < steps % 4; ++i) {
            dataShare.revokeAccess(outsider);
        }
        for (uint256 i = 0; i < steps / 4 % 4; ++i) {
            dataShare.revoke(outsider, RESOURCE);
        }
        vm.stopPrank();
        SignedGrant memory signed = _grantable();
        signed.generation = steps & 16 == 0 ? uint24(steps % 4) : generation;
        uint64 current = FIRST + uint64(steps / 4 % 4);
        signed.nonce = steps & 32 == 0 ? current : nonce;
        bytes memory signature = _signed(signed);
        if (signed.generation != steps % 4) {
            _refuses(abi.encodeWithSelector(IDataShare.WrongGeneration.selector, signed.generation, steps % 4));
        } else if (signed.nonce != current) {
            _refuses(abi.encodeWithSelector(IDataShare.WrongNonce.selector, signed.nonce, current));
        }
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function test_aLaterRevocationBeatsAnUnredeemedSignature() external {
        SignedGrant memory signed = _grantable();
        bytes memory signature = _signed(signed);
        vm.startPrank(owner);
        dataShare.revoke(payee, RESOURCE);
        dataShare.revoke(outsider, keccak256("whichever"));
        vm.stopPrank();
        _refuses(abi.encodeWithSelector(IDataShare.WrongNonce.selector, FIRST, FIRST + 1));
        dataShare.redeemGrant(signed, KEY, signature);

        signed.nonce = FIRST + 1;
        signature = _signed(signed);
        vm.prank(owner);
        dataShare.revokeAccess(outsider);
        _refuses(abi.encodeWithSelector(IDataShare.WrongGeneration.selector, 0, 1));
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function test_signaturesCountOnlyWhileTheOwnerAllowsThem() external {
        SignedGrant memory signed = _grantable();
        bytes memory signature = _signed(signed);
        vm.assertTrue(dataShare.signedGrantsAllowed(owner), "allowed");
        _announces(address(dataShare));
        emit IDataShare.SignedGrantsAllowed(owner, false);
        vm.prank(owner);
        dataShare.allowSignedGrants(false);
        vm.assertTrue(!dataShare.signedGrantsAllowed(owner), "not allowed");
        _refuses(abi.encodeWithSelector(IDataShare.SignedGrantsNotAllowed.selector, owner));
        dataShare.redeemGrant(signed, KEY, signature);
        vm.assertTrue(!dataShare.signedGrantsAllowed(outsider), "to begin with");

        // to allow them again is to begin anew
        _announces(address(dataShare));
        emit IDataShare.SignedGrantsAllowed(owner, true);
        vm.prank(owner);
        dataShare.allowSignedGrants(true);
        vm.assertEq(dataShare.nonceOf(owner, outsider), 2 * FIRST, "nonce");
        _refuses(abi.encodeWithSelector(IDataShare.WrongNonce.selector, FIRST, 2 * FIRST));
        dataShare.redeemGrant(signed, KEY, signature);
        signed.nonce = 2 * FIRST;
        dataShare.redeemGrant(signed, KEY, _signed(signed));
    }

    function test_signaturesMadeBeforeTheyWereAllowedNeverCount() external {
        Signer account = new Signer();
        SignedGrant memory signed = _grantable();
        (signed.owner, signed.nonce) = (address(account), 0);
        account.sign(Digests.ofGrant(address(dataShare), signed, KEY), hex"77");
        vm.prank(address(account));
        dataShare.allowSignedGrants(true);
        _refuses(abi.encodeWithSelector(IDataShare.WrongNonce.selector, 0, FIRST));
        dataShare.redeemGrant(signed, KEY, hex"77");
    }

    function testFuzz_onlyToBeginAllowingThemVoidsSignatures(uint256 choices) external {
        bool allowed = true;
        uint64 epoch = 1;
        for (uint256 i = 0; i < 8; ++i) {
            bool choice = choices >> i & 1 != 0;
            if (choice && !allowed) ++epoch;
            allowed = choice;
            vm.prank(owner);
            dataShare.allowSignedGrants(choice);
            vm.assertEq(dataShare.nonceOf(owner, outsider), epoch << 32, "nonce");
            vm.assertEq(dataShare.signedGrantsAllowed(owner), allowed, "allowed");
        }
    }

    function test_aSignedGrantIsCheckedAsAGrantIs() external {
        SignedGrant memory signed = _grantable();
        signed.terms.rights = 8;
        bytes memory signature = _signed(signed);
        _refuses(abi.encodeWithSelector(IDataShare.InvalidRights.selector, 8, 7));
        dataShare.redeemGrant(signed, KEY, signature);
        vm.assertEq(dataShare.nonceOf(owner, outsider), FIRST, "the signature is not spent");
    }

    function testFuzz_aContractSignsByWhatItAccepts(uint256 word) external {
        Signer account = new Signer();
        vm.prank(address(account));
        dataShare.allowSignedGrants(true);
        SignedGrant memory signed = _grantable();
        signed.owner = address(account);

        bytes memory refusal = _misspeak(account, word);
        (bool taken, bytes memory reason) = address(dataShare).call{gas: 20_000_000}(
            abi.encodeCall(dataShare.redeemGrant, (signed, KEY, hex"77"))
        );
        vm.assertTrue(!taken, "taken for signed");
        vm.assertEq(reason, refusal, "reason");

        account.sign(Digests.ofGrant(address(dataShare), signed, KEY), hex"77");
        dataShare.redeemGrant(signed, KEY, hex"77");
        vm.assertTrue(dataShare.accessOf(address(account), outsider, RESOURCE, READ) == Access.Granted, "granted");
    }

    function test_anAccountWithDelegatedCodeSignsWithItsKeyOrItsCode() external {
        Signer code = new Signer();
        SignedGrant memory signed = _grantable();
        bytes memory signature = _signed(signed);
        vm.etch(owner, abi.encodePacked(hex"ef0100", address(code)));
        dataShare.redeemGrant(signed, KEY, signature);
    }

    function _grantable() private view returns (SignedGrant memory) {
        return SignedGrant({
            owner: owner,
            grantee: outsider,
            resource: RESOURCE,
            terms: GrantTerms({rights: READ | INFER, expiry: NEVER, uses: 7, meter: address(escrow)}),
            generation: 0,
            nonce: FIRST,
            deadline: START + 1 hours
        });
    }

    function _signed(SignedGrant memory signed) private view returns (bytes memory) {
        return _sign(OWNER_KEY, Digests.ofGrant(address(dataShare), signed, KEY));
    }

    function _refusesSigner(SignedGrant memory signed, bytes memory signature) private {
        try dataShare.redeemGrant(signed, KEY, signature) {
            revert("it was taken for signed");
        } catch (bytes memory reason) {
            vm.assertEq(bytes4(reason), bytes4(keccak256("WrongSigner(address,address)")), "reason");
        }
    }
}

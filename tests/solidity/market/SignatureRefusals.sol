// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Signer, Word} from "../actors/Signer.sol";
import {vm} from "./Vm.sol";

/// @notice Signatures that are none, each with the error it must be refused with.
abstract contract SignatureRefusals {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint256 private constant KINDS = 8;

    /// @dev One of several kinds of bad signature of `digest` by the externally owned account of `key`.
    function _badSignature(uint256 key, bytes32 digest, uint256 kind, uint256 salt)
        internal
        pure
        returns (bytes memory signature, bytes memory refusal)
    {
        address signer = vm.addr(key);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        kind %= KINDS;
        if (kind == 0) {
            // the same signature, mirrored: valid but malleable
            s = bytes32(ORDER - uint256(s));
            signature = abi.encodePacked(r, s, v == 27 ? 28 : 27);
            refusal = abi.encodeWithSignature("SignatureMalleable(bytes32)", s);
        } else if (kind == 1) {
            // the 64 bytes of EIP-2098
            signature = abi.encodePacked(r, uint256(s) | uint256(v - 27) << 255);
            refusal = abi.encodeWithSignature("SignatureLength(uint256,uint256)", 64, 65);
        } else if (kind == 2) {
            signature = new bytes(salt % 200);
            if (signature.length == 65) signature = "";
            refusal = abi.encodeWithSignature("SignatureLength(uint256,uint256)", signature.length, 65);
        } else if (kind == 3) {
            signature = abi.encodePacked(r, s, v, uint8(salt));
            refusal = abi.encodeWithSignature("SignatureLength(uint256,uint256)", 66, 65);
        } else if (kind == 4) {
            // neither 27 nor 28
            signature = abi.encodePacked(r, s, uint8(salt % 27));
            refusal = abi.encodeWithSignature("SignatureUnrecoverable()");
        } else if (kind == 5) {
            signature = abi.encodePacked(bytes32(0), s, v);
            refusal = abi.encodeWithSignature("SignatureUnrecoverable()");
        } else if (kind == 6) {
            // by somebody else
            uint256 other = 100 + salt % 1_000_000;
            (v, r, s) = vm.sign(other, digest);
            signature = abi.encodePacked(r, s, v);
            refusal = abi.encodeWithSignature("WrongSigner(address,address)", signer, vm.addr(other));
        } else {
            // of something else
            bytes32 otherDigest = keccak256(abi.encode(digest, salt));
            (v, r, s) = vm.sign(key, otherDigest);
            signature = abi.encodePacked(r, s, v);
            refusal = abi.encodeWithSignature("WrongSigner(address,address)", signer, ecrecover(digest, v, r, s));
        }
    }

    /// @dev Makes `account` answer with anything but its acceptance.
    function _misspeak(Signer account, uint256 word) internal returns (bytes memory refusal) {
        account.say(Word(1 + word % uint256(type(Word).max)));
        refusal = abi.encodeWithSignature("SignatureRefused(address)", account);
    }
}

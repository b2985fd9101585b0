// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Signatures
/// @notice Checks that an account signed a digest, and says what is wrong if not.
///
/// An account with code is asked by ERC-1271. An account whose code is a delegation (EIP-7702) is still
/// controlled by its key, so that its key's signature counts as well.
library Signatures {
    /// @notice The zero address signs nothing.
    error SignerIsZero();

    /// @notice A key's signature has 65 bytes.
    error SignatureLength(uint256 length, uint256 expected);

    /// @notice The upper half of the curve's order is not used, since it makes signatures malleable.
    error SignatureMalleable(bytes32 s);

    /// @notice No key has made this signature.
    error SignatureUnrecoverable();

    /// @notice Somebody else signed, or something else was signed.
    error WrongSigner(address expected, address recovered);

    /// @notice The signer's contract does not accept the signature.
    error SignatureRefused(address signer);

    /// @notice Returns if `signer` signed `digest`; reverts with one of the errors above otherwise.
    function requireSigned(address signer, bytes32 digest, bytes calldata signature) internal view {
        if (signer == address(0)) revert SignerIsZero();
        (address recovered, ECDSA.RecoverError problem, bytes32 detail) = ECDSA.tryRecoverCalldata(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return;
        if (signer.code.length != 0) {
            if (SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature)) return;
            revert SignatureRefused(signer);
        }
        if (problem == ECDSA.RecoverError.InvalidSignatureLength) revert SignatureLength(uint256(detail), 65);
        if (problem == ECDSA.RecoverError.InvalidSignatureS) revert SignatureMalleable(detail);
        if (problem == ECDSA.RecoverError.InvalidSignature) revert SignatureUnrecoverable();
        revert WrongSigner(signer, recovered);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice How a contract answers when it is asked whether it signed something (ERC-1271).
enum Word {
    Accept,
    Refuse,
    AnswerTrue,
    AnswerDirty,
    AnswerShort,
    AnswerNothing,
    AnswerBomb,
    Revert,
    RevertWithMagic,
    BurnGas
}

/// @notice An account by contract that accepts the signatures it was told to, or lies.
contract Signer {
    bytes4 private constant MAGIC = 0x1626ba7e;

    Word public word;
    bytes32 private _digest;
    bytes32 private _signatureHash;

    function say(Word word_) external {
        word = word_;
    }

    /// @notice From now on this signature of this digest, and no other, is its own.
    function sign(bytes32 digest, bytes calldata signature) external {
        (word, _digest, _signatureHash) = (Word.Accept, digest, keccak256(signature));
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view {
        Word said = word;
        if (said == Word.Accept && (digest != _digest || keccak256(signature) != _signatureHash)) said = Word.Refuse;
        bytes32 magic = MAGIC;
        assembly {
            mstore(0, magic)
            switch said
            case 0 { return(0, 32) }
            case 1 { mstore(0, not(0)) return(0, 32) }
            case 2 { mstore(0, 1) return(0, 32) }
            case 3 { mstore(0, or(magic, 1)) return(0, 32) }
            case 4 { return(0, 4) }
            case 5 { return(0, 0) }
            case 6 { mstore(0, 0) return(0, 262144) }
            case 7 { revert(0, 0) }
            case 8 { revert(0, 32) }
            default { invalid() }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IInferenceEscrow, Request} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Offer} from "../../../contracts/interfaces/IModelRegistry.sol";

/// @notice A verifier that remembers whose answer it holds, and settles or corrects it once it is told
/// what is right.
contract Referee {
    struct Pending {
        address worker;
        bytes32 commitment;
    }

    IInferenceEscrow private immutable ESCROW;

    mapping(bytes32 id => Pending) public pendingOf;

    constructor(IInferenceEscrow escrow) {
        ESCROW = escrow;
    }

    function answer(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata) external {
        pendingOf[ESCROW.idOf(offer, terms)] = Pending(msg.sender, commitment);
        ESCROW.hold(offer, terms, msg.sender, uint40(block.timestamp + 1 days));
    }

    function judge(Offer calldata offer, Request calldata terms, bytes32 right, bytes calldata output) external {
        Pending memory pending = pendingOf[ESCROW.idOf(offer, terms)];
        if (pending.commitment == right) {
            ESCROW.settle(offer, terms, pending.worker, right, output);
        } else {
            ESCROW.correct(offer, terms, right, output);
        }
    }
}

/// @notice A verifier that abuses what a verifier may do.
contract HostileVerifier {
    IInferenceEscrow private immutable ESCROW;

    constructor(IInferenceEscrow escrow) {
        ESCROW = escrow;
    }

    /// @notice Tries to end a request in favour of `worker`, every way there is.
    /// @return successes How many of them worked.
    function attack(Offer calldata offer, Request calldata terms, address worker)
        external
        returns (uint256 successes)
    {
        bytes[5] memory attempts = [
            abi.encodeCall(ESCROW.settle, (offer, terms, worker, bytes32(uint256(1)), hex"00")),
            abi.encodeCall(ESCROW.settleWithCallback, (offer, terms, worker, bytes32(0), hex"00")),
            abi.encodeCall(ESCROW.correct, (offer, terms, bytes32(uint256(1)), hex"00")),
            abi.encodeCall(ESCROW.hold, (offer, terms, worker, uint40(block.timestamp + 1))),
            abi.encodeCall(ESCROW.refuse, (offer, terms, 1))
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            (bool succeeded,) = address(ESCROW).call(attempts[i]);
            if (succeeded) ++successes;
        }
    }

    /// @notice Holds a request for as long as it can, again and again.
    function stall(Offer calldata offer, Request calldata terms, address worker) external {
        uint40 until = uint40(block.timestamp + ESCROW.MAX_HOLD());
        (bool held,) = address(ESCROW).call(abi.encodeCall(ESCROW.hold, (offer, terms, worker, until)));
        held;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Commitments} from "../../../contracts/libraries/Commitments.sol";
import {RequestWord, RequestWordLibrary} from "../../../contracts/libraries/RequestWord.sol";
import {vm} from "../market/Vm.sol";

/// @notice What is stored of a request, and what a result commits to.
contract WordsProof {
    function _open(address payer, uint48 feeGwei, uint40 deadline, bool inToken) private pure returns (RequestWord) {
        RequestStatus status = inToken ? RequestStatus.OpenErc20 : RequestStatus.Open;
        return RequestWordLibrary.open(status, payer, uint256(feeGwei) * 1 gwei, deadline);
    }

    function check_anOpenWordGivesBackWhatWentIn(address payer, uint48 feeGwei, uint40 deadline, bool inToken)
        external
        pure
    {
        RequestWord word = _open(payer, feeGwei, deadline, inToken);
        assert(word.payer() == payer && word.deadline() == deadline);
        assert(word.fee() == uint256(feeGwei) * 1 gwei);
        assert(word.isOpen() && !word.isHeld() && word.isErc20() == inToken);
    }

    function check_holdingChangesTheDeadlineAlone(address payer, uint48 feeGwei, uint40 deadline, uint40 until, bool inToken)
        external
        pure
    {
        RequestWord word = _open(payer, feeGwei, deadline, inToken).held(until);
        assert(word.payer() == payer && word.deadline() == until);
        assert(word.fee() == uint256(feeGwei) * 1 gwei);
        assert(!word.isOpen() && word.isHeld() && word.isErc20() == inToken);
    }

    function check_anEndedWordKeepsItsCommitment(uint8 status, bytes32 commitment) external pure {
        vm.assume(status >= uint8(RequestStatus.Fulfilled) && status <= uint8(RequestStatus.Cancelled));
        RequestWord word = RequestWordLibrary.ended(RequestStatus(status), commitment);
        assert(uint8(word.status()) == status && word.commitment() == bytes31(commitment));
        assert(!word.isOpen() && !word.isHeld());
    }

    function check_noWordIsZero(address payer, uint48 feeGwei, uint40 deadline, bytes32 commitment, bool inToken)
        external
        pure
    {
        assert(RequestWord.unwrap(_open(payer, feeGwei, deadline, inToken)) != 0);
        assert(RequestWord.unwrap(_open(payer, feeGwei, deadline, inToken).held(deadline)) != 0);
        assert(RequestWord.unwrap(RequestWordLibrary.ended(RequestStatus.Cancelled, commitment)) != 0);
    }

    function check_aCommitmentFitsOneAnswerToOneRequest(bytes32[2] memory ids, bytes32[2] memory outputs, bytes32[2] memory salts)
        external
        pure
    {
        bytes32 first = Commitments.ofResult(ids[0], abi.encode(outputs[0]), salts[0]);
        bytes32 second = Commitments.ofResult(ids[1], abi.encode(outputs[1]), salts[1]);
        bool same = ids[0] == ids[1] && outputs[0] == outputs[1] && salts[0] == salts[1];
        assert((first == second) == same);
    }
}

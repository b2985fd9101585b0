// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/* import "nowhere.sol"; */
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol"; // import "nowhere either.sol";
import {Step} from "./Step.sol";

/// @notice Counts up in steps. It is there to be compiled.
contract Counter is Ownable {
    event Counted(uint256 total);

    error StepTooLarge(uint256 step, uint256 limit);

    uint256 public immutable limit;
    uint256 public total;

    string public constant NOTE = "import 'nowhere.sol'; // not a comment";

    constructor(address owner, uint256 limit_) Ownable(owner) {
        limit = limit_;
    }

    function count(Step.Size calldata step) external onlyOwner {
        if (step.by > limit) revert StepTooLarge(step.by, limit);
        total += step.by;
        emit Counted(total);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

library Step {
    struct Size {
        uint256 by;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice Takes no money.
contract RejectingReceiver {
    error NotToday();

    receive() external payable {
        revert NotToday();
    }
}

/// @notice Takes money and, whenever it does, makes the call it was told to make then.
contract CallingReceiver {
    address private _target;
    bytes private _data;

    /// @notice How often it was paid.
    uint256 public payments;
    /// @notice Whether its last call went through.
    bool public succeeded;
    /// @notice What its last call returned or reverted with.
    bytes public returned;

    /// @notice The call to make when paid.
    function onPayment(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    /// @notice Makes a call in this contract's name; fails as it fails.
    function act(address target, bytes calldata data) external payable {
        (bool done, bytes memory output) = target.call{value: msg.value}(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(output, 32), mload(output))
            }
        }
    }

    receive() external payable {
        ++payments;
        if (_target != address(0)) (succeeded, returned) = _target.call(_data);
    }
}

/// @notice Sends what it is created with to an account that cannot refuse it.
contract ForcingSender {
    constructor(address payable receiver) payable {
        selfdestruct(receiver);
    }
}

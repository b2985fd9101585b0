// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What a client may meet on a chain: storage, events, every kind of failure, gas that matters.
contract Probe {
    event Changed(address indexed by, uint256 indexed value, string note);
    event Touched(bytes32 indexed key);

    error TooHigh(uint256 given, uint256 limit);
    error LooksLikeAString(uint256 offset, uint256 length);

    uint256 public value;
    mapping(address => uint256) public valueOf;

    constructor(uint256 initial) payable {
        value = initial;
    }

    receive() external payable {}

    function set(uint256 newValue, string calldata note) external {
        if (newValue > 100) revert TooHigh(newValue, 100);
        value = newValue;
        valueOf[msg.sender] = newValue;
        emit Changed(msg.sender, newValue, note);
    }

    function touch(bytes32 key, uint256 times) external {
        for (uint256 i = 0; i < times; ++i) emit Touched(key);
    }

    function failWithString() external pure {
        revert("not today");
    }

    function failLikeAString() external pure {
        revert LooksLikeAString(32, 0);
    }

    function failWithPanic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function failWithNothing() external pure {
        assembly {
            revert(0, 0)
        }
    }

    function failWithInvalid() external pure {
        assembly {
            invalid()
        }
    }

    function burnGas() external pure {
        while (true) {}
    }

    /// Needs far more gas at hand than it uses.
    function demandGas(uint256 atLeast) external {
        require(gasleft() >= atLeast, "too little gas");
        value += 1;
    }

    /// Writes in a nested call, which gets 63/64 of what is left.
    function setThroughCall(uint256 newValue) external {
        this.set(newValue, "nested");
    }

    /// Calls itself as deep as the gas or the EVM lets it, and tells how deep that was.
    function dive(uint256 depth) external view returns (uint256) {
        try this.dive(depth + 1) returns (uint256 deepest) {
            return deepest;
        } catch {
            return depth;
        }
    }

    function where() external view returns (uint256 number, uint256 timestamp, bytes32 parent) {
        return (block.number, block.timestamp, blockhash(block.number - 1));
    }

    function price() external view returns (uint256 gasPrice, uint256 baseFee, uint256 chainId) {
        return (tx.gasprice, block.basefee, block.chainid);
    }

    function sender() external view returns (address) {
        return msg.sender;
    }
}

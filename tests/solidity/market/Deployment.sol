// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {vm} from "./Vm.sol";

/// @notice The three contracts, known to the tests by their interfaces alone: a change to a body
/// recompiles no test.
abstract contract Deployment {
    uint256 internal constant START = 1_800_000_000;

    IDataShare internal dataShare;
    IModelRegistry internal registry;
    IInferenceEscrow internal escrow;

    function setUp() public virtual {
        vm.warp(START);
        dataShare = IDataShare(_deploy("DataShare", ""));
        registry = IModelRegistry(_deploy("ModelRegistry", ""));
        escrow = IInferenceEscrow(_deploy("InferenceEscrow", abi.encode(dataShare, registry)));
    }

    function _deploy(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = bytes.concat(vm.getCode(string.concat(name, ".sol:", name)), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        require(deployed != address(0), name);
    }
}

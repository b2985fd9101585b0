// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Terms} from "../../../contracts/libraries/Terms.sol";
import {vm} from "../market/Vm.sol";

contract TermsTest {
    /// @dev The word before the offer is borrowed for the hash.
    function testFuzz_hashingAnOfferLeavesMemoryAsItWas(uint256 word, bytes32 modelId) external pure {
        uint256[1] memory before = [word];
        Offer memory offer;
        offer.modelId = modelId;
        uint256 distance;
        assembly ("memory-safe") {
            distance := sub(offer, before)
        }
        vm.assertEq(distance, 32, "next to each other");

        Terms.hash(offer);
        vm.assertEq(before[0], word, "the word before");
        vm.assertEq(offer.modelId, modelId, "the offer");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, SignedGrant} from "../../../contracts/interfaces/IDataShare.sol";
import {Deployment} from "../market/Deployment.sol";
import {vm} from "../market/Vm.sol";
import {Sharing} from "./Sharing.sol";

/// @notice What holds of grants after every sequence of calls; numbered as in the README beside it.
contract DataShareInvariants is Deployment {
    Sharing private sharing;

    function setUp() public override {
        super.setUp();
        sharing = new Sharing(dataShare);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(sharing);
    }

    function invariant_dataShare() external {
        for (uint256 i = 0; i < 18; ++i) {
            address owner = sharing.owners(i % 2);
            address grantee = sharing.grantees(i / 2 % 3);
            bytes32 resource = sharing.resources(i / 6);
            _14_theEventsTellEveryGrantAsItStands(owner, grantee, resource);
            _15_accessFollowsFromTheEvents(owner, grantee, resource);
            _16_generationsAndNoncesFollowFromWhatWasDone(owner, grantee);
        }
        for (uint256 i = 0; i < sharing.signatureCount(); ++i) {
            _17_aSignatureCountsIfAndOnlyIfNothingWasRevokedSince(i);
        }
    }

    function _14_theEventsTellEveryGrantAsItStands(address owner, address grantee, bytes32 resource) private view {
        vm.assertEq(
            keccak256(abi.encode(dataShare.grantOf(owner, grantee, resource))),
            keccak256(abi.encode(sharing.seenOf(owner, grantee, resource))),
            "14 history"
        );
    }

    function _15_accessFollowsFromTheEvents(address owner, address grantee, bytes32 resource) private view {
        for (uint8 right = 1; right < 8; right *= 2) {
            Access access = dataShare.accessOf(owner, grantee, resource, right);
            vm.assertEq(uint256(access), uint256(sharing.told(owner, grantee, resource, right)), "15 access");
        }
    }

    function _16_generationsAndNoncesFollowFromWhatWasDone(address owner, address grantee) private view {
        vm.assertEq(dataShare.generationOf(owner, grantee), sharing.generations(owner, grantee), "16 generation");
        vm.assertEq(dataShare.nonceOf(owner, grantee), sharing.nonceOf(owner, grantee), "16 nonce");
    }

    function _17_aSignatureCountsIfAndOnlyIfNothingWasRevokedSince(uint256 place) private {
        bool redeemable = sharing.isRedeemable(place);
        try this.redeemAndUndo(place) {
            revert("unreachable");
        } catch (bytes memory reason) {
            bool redeemed = keccak256(reason) == keccak256(abi.encodeWithSignature("Error(string)", "redeemed"));
            vm.assertEq(redeemed, redeemable, "17 signatures");
        }
    }

    function redeemAndUndo(uint256 place) external {
        (SignedGrant memory signed, bytes memory signature) = sharing.signatureAt(place);
        dataShare.redeemGrant(signed, "", signature);
        revert("redeemed");
    }
}

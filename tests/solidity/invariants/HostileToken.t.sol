// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Coin} from "../actors/Coin.sol";
import {Deployment} from "../market/Deployment.sol";
import {vm} from "../market/Vm.sol";
import {Plague} from "./Plague.sol";

/// @notice What holds whatever a token does; numbered as in the README beside it.
contract HostileTokenInvariants is Deployment {
    Plague private plague;

    function setUp() public override {
        super.setUp();
        plague = new Plague(dataShare, registry, escrow);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(plague);
    }

    function invariant_hostileToken() external view {
        _22_etherAndTheHonestTokenAreCoveredExactly();
        _23_theBooksOfEveryCurrencyAreRight();
        _24_noPloySucceeded();
    }

    function _22_etherAndTheHonestTokenAreCoveredExactly() private view {
        for (uint256 i = 0; i < 2; ++i) {
            address token = plague.currency(i);
            uint256 liabilities = plague.held(token);
            for (uint256 j = 0; j < 3; ++j) {
                liabilities += escrow.creditOf(token, plague.accounts()[j]);
            }
            uint256 balance = i == 0 ? address(escrow).balance : Coin(token).balanceOf(address(escrow));
            vm.assertEq(balance, liabilities, "22 exactness");
        }
    }

    function _23_theBooksOfEveryCurrencyAreRight() private view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = plague.currency(i);
            for (uint256 j = 0; j < 3; ++j) {
                address account = plague.accounts()[j];
                vm.assertEq(escrow.creditOf(token, account), plague.credit(token, account), "23 ledger");
            }
        }
    }

    function _24_noPloySucceeded() private view {
        vm.assertTrue(!plague.hostile().succeeded(), "24 re-entrance");
    }
}

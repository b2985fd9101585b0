// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Coin} from "./Coin.sol";

/// @notice What a hostile token does instead of moving the amount it was told to.
enum Mischief {
    None,
    TakeFee,
    DeliverMore,
    DeliverNothing,
    ReturnFalse,
    ReturnNothing,
    Revert,
    BurnGas,
    InflateBalance,
    Reenter
}

/// @notice A token that may do anything, to whoever holds it.
contract HostileCoin is Coin {
    Mischief public mischief;
    /// @notice Whether the last re-entrance went through, and what it returned.
    bool public succeeded;
    bytes public answer;

    address private _target;
    bytes private _data;

    function misbehave(Mischief mischief_) external {
        mischief = mischief_;
    }

    /// @notice When asked to move an amount, first call `target` with `data`.
    function reenter(address target, bytes calldata data) external {
        (mischief, _target, _data) = (Mischief.Reenter, target, data);
    }

    function balanceOf(address account) public view override returns (uint256) {
        return mischief == Mischief.InflateBalance ? type(uint128).max : super.balanceOf(account);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        Mischief now_ = mischief;
        if (now_ == Mischief.ReturnFalse) return false;
        if (now_ == Mischief.DeliverNothing) return true;
        if (now_ == Mischief.Revert) revert("no");
        if (now_ == Mischief.BurnGas) {
            assembly {
                invalid()
            }
        }
        if (now_ == Mischief.Reenter) (succeeded, answer) = _target.call(_data);
        _transfer(from, to, amount);
        if (now_ == Mischief.TakeFee && amount != 0) _burn(to, 1);
        if (now_ == Mischief.DeliverMore) _mint(to, 1);
        if (now_ == Mischief.ReturnNothing) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}

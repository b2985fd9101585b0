// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice What a hostile account does when it is called or paid.
enum Behaviour {
    Comply,
    Revert,
    RevertWithBomb,
    BurnGas,
    ReturnBomb,
    Reenter
}

/// @notice A requester, payee, worker or receiver of money that may try anything when its turn comes.
contract HostileAccount {
    uint256 private constant BOMB_LENGTH = 512 * 1024;

    Behaviour public behaviour;
    uint256 public calls;
    address public lastCaller;
    bytes public lastData;
    /// @notice How often a re-entrance went through, whether the last one did, and what it returned.
    uint256 public successes;
    bool public succeeded;
    bytes public answer;

    address private _target;
    bytes private _data;

    function behave(Behaviour behaviour_) external {
        behaviour = behaviour_;
    }

    /// @notice When called, call `target` with `data`.
    function reenter(address target, bytes calldata data) external {
        (behaviour, _target, _data) = (Behaviour.Reenter, target, data);
    }

    receive() external payable {
        _act();
    }

    fallback() external payable {
        _act();
    }

    function _act() private {
        ++calls;
        Behaviour now_ = behaviour;
        if (now_ == Behaviour.Comply) {
            lastCaller = msg.sender;
            lastData = msg.data;
        } else if (now_ == Behaviour.Revert) {
            revert("no");
        } else if (now_ == Behaviour.RevertWithBomb) {
            assembly {
                revert(0, BOMB_LENGTH)
            }
        } else if (now_ == Behaviour.BurnGas) {
            assembly {
                invalid()
            }
        } else if (now_ == Behaviour.ReturnBomb) {
            assembly {
                return(0, BOMB_LENGTH)
            }
        } else {
            (succeeded, answer) = _target.call(_data);
            if (succeeded) ++successes;
        }
    }
}

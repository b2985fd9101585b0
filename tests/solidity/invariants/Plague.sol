// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {IInferenceEscrow, Query, Request} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Metric, ModelTerms, Offer, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {HostileCoin, Mischief} from "../actors/HostileCoin.sol";
import {vm} from "../market/Vm.sol";

/// @notice A market in ether, an honest token and a hostile one that is also a payee and comes back
/// whenever it is called.
contract Plague {
    address private constant ETH = address(0);

    struct Open {
        bytes32 id;
        Offer offer;
        Request terms;
    }

    IDataShare private immutable DATA_SHARE;
    IModelRegistry private immutable REGISTRY;
    IInferenceEscrow private immutable ESCROW;
    address private immutable WORKER = vm.addr(81);

    Coin public immutable coin = new Coin();
    HostileCoin public immutable hostile = new HostileCoin();
    bytes32[3] private _modelIds;
    bytes32[3] private _versionIds;

    Open[] private _open;
    uint256 private _counter;
    /// @notice By currency: what open requests hold, and what is owed.
    mapping(address token => uint256) public held;
    mapping(address token => mapping(address account => uint256)) public credit;

    constructor(IDataShare dataShare, IModelRegistry registry, IInferenceEscrow escrow) {
        (DATA_SHARE, REGISTRY, ESCROW) = (dataShare, registry, escrow);
        for (uint256 i = 0; i < 3; ++i) {
            ModelTerms memory terms = ModelTerms(1_000_001 gwei, currency(i), address(hostile), 5_000, 1 days, true);
            Version memory version;
            version.modelId = _modelIds[i] = registry.registerModel(string(abi.encode(i)), terms, new Metric[](0));
            version.bundleHash = version.contentHash = version.manifestHash = bytes32(uint256(1));
            version.attestor = address(this);
            (_versionIds[i],) = registry.publishVersion(version, "");
            dataShare.grant(WORKER, version.modelId, GrantTerms(4, type(uint40).max, 0, address(0)), "");
        }
        coin.approve(address(escrow), type(uint256).max);
        hostile.approve(address(escrow), type(uint256).max);
    }

    receive() external payable {}

    function currency(uint256 place) public view returns (address) {
        return place == 0 ? ETH : place == 1 ? address(coin) : address(hostile);
    }

    function accounts() public view returns (address[3] memory) {
        return [address(this), WORKER, address(hostile)];
    }

    // --- handlers ---------------------------------------------------------------------------------

    /// @dev A deposit that the hostile token does not make exactly is refused; any other request is held.
    function request(uint256 seed) external {
        vm.assume(_ask(seed % 3, seed));
    }

    /// @dev The hostile token has no say in what ends a request.
    function fulfil(uint256 seed) external {
        Open memory placed = _take(seed, true);
        vm.prank(WORKER);
        ESCROW.fulfil(placed.offer, placed.terms, bytes32(uint256(1)), "");
        uint256 share = placed.offer.fee / 2;
        credit[placed.offer.token][address(hostile)] += share;
        credit[placed.offer.token][WORKER] += placed.offer.fee - share;
    }

    function refund(uint256 seed) external {
        Open memory placed = _take(seed, false);
        ESCROW.refund(placed.id);
        credit[placed.offer.token][address(this)] += placed.offer.fee;
    }

    /// @dev In ether and the honest token always; in the hostile one as long as it lets go.
    function withdraw(uint256 seed) external {
        address[3] memory all = accounts();
        for (uint256 i = 0; i < 9; ++i) {
            uint256 place = (seed % 9 + i) % 9;
            (address account, address token) = (all[place / 3], currency(place % 3));
            if (credit[token][account] == 0) continue;
            if (token == address(hostile)) hostile.misbehave(Mischief.None);
            vm.prank(account);
            ESCROW.withdraw(token, vm.addr(99));
            credit[token][account] = 0;
            return;
        }
        vm.assume(false);
    }

    function misbehave(uint256 seed) external {
        hostile.misbehave(Mischief(seed % (uint256(type(Mischief).max) + 1)));
        if (hostile.mischief() != Mischief.Reenter) return;
        bytes[4] memory ploys = [
            abi.encodeCall(ESCROW.withdraw, (ETH, address(this))),
            abi.encodeCall(ESCROW.withdraw, (address(coin), address(this))),
            abi.encodeCall(ESCROW.withdraw, (address(hostile), address(hostile))),
            abi.encodeCall(
                ESCROW.request,
                (
                    _modelIds[2],
                    _versionIds[2],
                    Query(address(0), keccak256(abi.encode(++_counter)), 0, uint40(block.timestamp + 1), 0, 0),
                    ""
                )
            )
        ];
        hostile.mint(address(hostile), 1_000_001 gwei);
        vm.prank(address(hostile));
        hostile.approve(address(ESCROW), type(uint256).max);
        hostile.reenter(address(ESCROW), ploys[seed / 16 % 4]);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + 1 + time % 4 hours);
    }

    function _ask(uint256 place, uint256 seed) private returns (bool taken) {
        Open memory placed;
        (placed.offer,,) = REGISTRY.quote(_modelIds[place], _versionIds[place]);
        uint40 deadline = uint40(block.timestamp + 1 + seed / 4 % 1 days);
        placed.terms = Request(
            address(this), address(this), Query(address(0), keccak256(abi.encode(++_counter)), 0, deadline, 0, 0)
        );
        address token = placed.offer.token;
        uint256 fee = placed.offer.fee;
        if (token == ETH) vm.deal(address(this), fee);
        else Coin(token).mint(address(this), fee);
        Mischief mischief = hostile.mischief();
        bool exact = token != address(hostile) || mischief == Mischief.None || mischief == Mischief.ReturnNothing
            || mischief == Mischief.Reenter;
        bytes memory data =
            abi.encodeCall(ESCROW.request, (placed.offer.modelId, placed.offer.versionId, placed.terms.query, hex"00aa"));
        bytes memory answer;
        (taken, answer) = address(ESCROW).call{value: token == ETH ? fee : 0, gas: 5_000_000}(data);
        vm.assertEq(taken, exact, "held if and only if deposited");
        if (!taken) return false;
        placed.id = abi.decode(answer, (bytes32));
        _open.push(placed);
        held[token] += fee;
    }

    /// @dev Takes off the list a request that can be answered, or refunded: in the honest currencies there
    /// is always one to be had.
    function _take(uint256 seed, bool inTime) private returns (Open memory placed) {
        for (uint256 i = 0; i < _open.length; ++i) {
            uint256 place = (seed % _open.length + i) % _open.length;
            if (block.timestamp <= _open[place].terms.query.deadline == inTime) return _remove(place);
        }
        _ask(seed % 2, seed);
        placed = _remove(_open.length - 1);
        if (!inTime) vm.warp(uint256(placed.terms.query.deadline) + 1);
    }

    function _remove(uint256 place) private returns (Open memory placed) {
        placed = _open[place];
        _open[place] = _open[_open.length - 1];
        _open.pop();
        held[placed.offer.token] -= placed.offer.fee;
    }
}

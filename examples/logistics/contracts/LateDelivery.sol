// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {PredictionConsumer} from "../../../contracts/consumers/PredictionConsumer.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Ask} from "../../../contracts/interfaces/IPredictionConsumer.sol";
import {Commitments} from "../../../contracts/libraries/Commitments.sol";
import {Signatures} from "../../../contracts/libraries/Signatures.sol";
import {
    ILateDelivery,
    Leg,
    LegStatus,
    LegTerms,
    Shipment,
    ShipmentTerms,
    Stage,
    Timing
} from "./ILateDelivery.sol";

/// @title LateDelivery
/// @notice See `ILateDelivery`, which is the specification.
contract LateDelivery is ILateDelivery, PredictionConsumer, EIP712 {
    /// @inheritdoc ILateDelivery
    uint256 public constant FORECAST_WINDOW = 1 hours;
    /// @inheritdoc ILateDelivery
    uint256 public constant RESPONSE = 2 days;
    /// @inheritdoc ILateDelivery
    uint256 public constant RESOLUTION = 7 days;

    uint256 private constant MAX_LEGS = 8;
    uint256 private constant MAX_DECIMALS = 18;
    uint32 private constant CALLBACK_GAS = 150_000;

    bytes32 private constant HAND_OVER_TYPEHASH =
        keccak256("HandOver(bytes32 shipment,uint8 position,uint40 at,bytes32 inputHash)");

    Timing private _timing;

    mapping(bytes32 shipment => Shipment) private _shipments;
    mapping(bytes32 shipment => mapping(uint256 leg => Leg)) private _legs;

    constructor(IInferenceEscrow escrow_, Timing memory timing)
        PredictionConsumer(escrow_)
        EIP712("modelward LateDelivery", "1")
    {
        if (timing.decimals > MAX_DECIMALS) revert TooManyDecimals(timing.decimals, MAX_DECIMALS);
        _timing = timing;
    }

    // --- before the journey -----------------------------------------------------------------------

    /// @inheritdoc ILateDelivery
    function open(ShipmentTerms calldata terms, bytes32 salt) external returns (bytes32 shipment) {
        // Check
        uint256 count = terms.legs.length;
        if (count == 0 || count > MAX_LEGS) revert WrongLegs(count, MAX_LEGS);
        if (terms.consignee == address(0)) revert PartyIsZero();
        if (block.timestamp > terms.startBy) revert TooLate(terms.startBy, block.timestamp);
        shipment = keccak256(abi.encode(msg.sender, terms, salt)) & ~bytes32(uint256(0xff));
        if (_shipments[shipment].stage != Stage.None) revert ShipmentExists(shipment);

        // Effect
        Shipment storage opened = _shipments[shipment];
        (opened.shipper, opened.consignee, opened.token) = (msg.sender, terms.consignee, terms.token);
        (opened.startBy, opened.legs, opened.missing) = (terms.startBy, uint8(count), uint8(count));
        opened.stage = Stage.Open;
        for (uint256 i = 0; i < count; ++i) {
            LegTerms calldata agreed = terms.legs[i];
            if (agreed.carrier == address(0)) revert PartyIsZero();
            if (agreed.fallbackDuration > agreed.longest) {
                revert FallbackTooLong(agreed.fallbackDuration, agreed.longest);
            }
            Leg storage leg = _legs[shipment][i];
            (leg.carrier, leg.status) = (agreed.carrier, LegStatus.Agreed);
            (leg.deposit, leg.perHour) = (agreed.deposit, agreed.perHour);
            (leg.grace, leg.fallbackDuration, leg.longest) = (agreed.grace, agreed.fallbackDuration, agreed.longest);
        }
        emit ShipmentOpened(shipment, msg.sender, terms);
    }

    /// @inheritdoc ILateDelivery
    function deposit(bytes32 shipment, uint256 leg) external payable {
        // Check
        Shipment storage opened = _at(shipment, Stage.Open);
        if (block.timestamp > opened.startBy) revert TooLate(opened.startBy, block.timestamp);
        Leg storage agreed = _in(shipment, leg, LegStatus.Agreed);
        if (msg.sender != agreed.carrier) revert NotParty(agreed.carrier, msg.sender);

        // Effect
        agreed.status = LegStatus.Deposited;
        --opened.missing;
        emit Deposited(shipment, leg, msg.sender, agreed.deposit);

        // Interaction
        _take(opened.token, agreed.deposit);
    }

    /// @inheritdoc ILateDelivery
    function abandon(bytes32 shipment) external {
        // Check
        Shipment storage opened = _at(shipment, Stage.Open);
        if (block.timestamp <= opened.startBy) revert TooEarly(uint256(opened.startBy) + 1, block.timestamp);

        // Effect
        _end(shipment, opened, 0);
    }

    // --- the journey ------------------------------------------------------------------------------

    /// @inheritdoc ILateDelivery
    function handOver(
        bytes32 shipment,
        uint256 position,
        uint40 at,
        bytes32 inputHash,
        bytes calldata giverSignature,
        bytes calldata receiverSignature
    ) external {
        // Check
        Shipment storage moved = _shipments[shipment];
        Stage stage = moved.stage;
        if (stage == Stage.None || stage == Stage.Over) revert WrongStage(shipment, stage);
        if (position != moved.position) revert WrongPosition(position, moved.position);
        if (moved.missing != 0) revert DepositsMissing(moved.missing);
        if (position == 0 && block.timestamp > moved.startBy) revert TooLate(moved.startBy, block.timestamp);
        (address giver, address receiver) = _sides(shipment, moved);
        _requireTime(at, position == 0 ? 0 : _legs[shipment][position - 1].departedAt);
        bytes32 digest = _digest(shipment, position, at, inputHash);
        Signatures.requireSigned(giver, digest, giverSignature);
        Signatures.requireSigned(receiver, digest, receiverSignature);

        // Effect
        emit HandedOver(shipment, position, at, inputHash);
        if (position != 0) _arrive(_legs[shipment][position - 1], at);
        if (position == moved.legs) {
            _end(shipment, moved, position);
            return;
        }
        Leg storage next = _legs[shipment][position];
        (next.status, next.departedAt, next.inputHash) = (LegStatus.Underway, at, inputHash);
        next.forecastBy = uint40(block.timestamp + FORECAST_WINDOW);
        (moved.stage, moved.position) = (Stage.Underway, uint8(position + 1));
        (moved.claimedAt, moved.answerBy) = (0, 0);
    }

    /// @inheritdoc ILateDelivery
    function forecast(bytes32 shipment, uint256 leg, bytes32 secret, bytes calldata input)
        external
        payable
        returns (bytes32 id)
    {
        // Check
        Leg storage asked = _legs[shipment][leg];
        if (asked.departedAt == 0 || asked.status == LegStatus.Settled) {
            revert WrongLegStatus(shipment, leg, asked.status);
        }
        bytes32 signed = asked.inputHash;
        if (signed == 0) revert AlreadyAsked(shipment, leg);
        if (block.timestamp > asked.forecastBy) revert TooLate(asked.forecastBy, block.timestamp);
        bytes32 given = Commitments.ofInput(secret, input);
        if (given != signed) revert WrongInput(given, signed);

        // Effect
        uint40 until = uint40(block.timestamp + FORECAST_WINDOW);
        (asked.inputHash, asked.forecastBy) = (0, until);

        // Interaction
        id = _requestFromCaller(
            Ask({
                modelId: _timing.modelId,
                versionId: _timing.versionId,
                worker: address(0),
                token: ETH,
                maxFee: _timing.maxFee,
                inputHash: given,
                deadline: until,
                usableUntil: until,
                callbackGas: CALLBACK_GAS,
                context: shipment | bytes32(leg)
            }),
            bytes.concat(bytes1(0), secret, input)
        );
    }

    /// @inheritdoc ILateDelivery
    function settle(bytes32 shipment, uint256 leg) external {
        // Check
        Leg storage arrived = _in(shipment, leg, LegStatus.Arrived);
        uint256 dueAt = arrived.dueAt;
        if (dueAt == 0) {
            if (block.timestamp <= arrived.forecastBy) {
                revert TooEarly(uint256(arrived.forecastBy) + 1, block.timestamp);
            }
            dueAt = uint256(arrived.departedAt) + arrived.fallbackDuration;
        }

        // Effect
        _share(shipment, leg, _penalty(arrived, dueAt, arrived.arrivedAt));
    }

    // --- when a side does not sign ----------------------------------------------------------------

    /// @inheritdoc ILateDelivery
    function claim(bytes32 shipment, uint40 at) external {
        // Check
        Shipment storage moved = _at(shipment, Stage.Underway);
        uint256 leg = moved.position - 1;
        Leg storage ending = _legs[shipment][leg];
        if (msg.sender != ending.carrier) revert NotParty(ending.carrier, msg.sender);
        uint256 latest = uint256(ending.departedAt) + ending.longest;
        if (block.timestamp > latest) revert TooLate(latest, block.timestamp);
        _requireTime(at, ending.departedAt);

        // Effect
        uint40 answerBy = uint40(block.timestamp + RESPONSE);
        (moved.stage, moved.claimedAt, moved.answerBy) = (Stage.Claimed, at, answerBy);
        emit ArrivalClaimed(shipment, leg, at, answerBy);
    }

    /// @inheritdoc ILateDelivery
    function contest(bytes32 shipment) external {
        // Check
        Shipment storage moved = _at(shipment, Stage.Claimed);
        (, address receiver) = _sides(shipment, moved);
        if (msg.sender != receiver) revert NotParty(receiver, msg.sender);
        if (block.timestamp > moved.answerBy) revert TooLate(moved.answerBy, block.timestamp);

        // Effect
        uint40 answerBy = uint40(block.timestamp + RESOLUTION);
        (moved.stage, moved.answerBy) = (Stage.Contested, answerBy);
        emit ClaimContested(shipment, moved.position - 1, answerBy);
    }

    /// @inheritdoc ILateDelivery
    function conclude(bytes32 shipment) external {
        // Check
        Shipment storage moved = _shipments[shipment];
        Stage stage = moved.stage;
        if (stage != Stage.Claimed && stage != Stage.Contested) revert WrongStage(shipment, stage);
        if (block.timestamp <= moved.answerBy) revert TooEarly(uint256(moved.answerBy) + 1, block.timestamp);

        // Effect
        uint256 receiving = moved.position;
        Leg storage ending = _legs[shipment][receiving - 1];
        bool isContested = stage == Stage.Contested;
        if (isContested) _share(shipment, receiving - 1, ending.deposit / 2);
        else _arrive(ending, moved.claimedAt);
        if (receiving != moved.legs) {
            uint256 atStake = _legs[shipment][receiving].deposit;
            _share(shipment, receiving, isContested ? atStake / 2 : atStake);
            ++receiving;
        }
        _end(shipment, moved, receiving);
    }

    /// @inheritdoc ILateDelivery
    function lapse(bytes32 shipment) external {
        // Check
        Shipment storage moved = _at(shipment, Stage.Underway);
        uint256 leg = moved.position - 1;
        Leg storage lost = _legs[shipment][leg];
        uint256 latest = uint256(lost.departedAt) + lost.longest;
        if (block.timestamp <= latest) revert TooEarly(latest + 1, block.timestamp);

        // Effect
        _share(shipment, leg, lost.deposit);
        _end(shipment, moved, leg + 1);
    }

    // --- reading ----------------------------------------------------------------------------------

    /// @inheritdoc ILateDelivery
    function shipmentOf(bytes32 shipment) external view returns (Shipment memory) {
        return _shipments[shipment];
    }

    /// @inheritdoc ILateDelivery
    function legOf(bytes32 shipment, uint256 leg) external view returns (Leg memory) {
        return _legs[shipment][leg];
    }

    /// @inheritdoc ILateDelivery
    function penaltyOf(bytes32 shipment, uint256 leg, uint256 dueAt, uint256 arrivedAt)
        external
        view
        returns (uint256)
    {
        return _penalty(_legs[shipment][leg], dueAt, arrivedAt);
    }

    /// @inheritdoc ILateDelivery
    function digestOf(bytes32 shipment, uint256 position, uint40 at, bytes32 inputHash)
        external
        view
        returns (bytes32)
    {
        return _digest(shipment, position, at, inputHash);
    }

    // --- internal: predictions --------------------------------------------------------------------

    /// @dev A leg is predicted to take no less than nothing and no longer than it may.
    function _onPrediction(bytes32, bytes32 context, uint256, int256[] memory scores) internal override {
        if (scores.length != 1) revert WrongScores(scores.length, 1);
        bytes32 shipment = context & ~bytes32(uint256(0xff));
        uint256 number = uint8(uint256(context));
        Leg storage leg = _legs[shipment][number];
        uint256 hoursAhead = scores[0] > 0 ? uint256(scores[0]) : 0;
        uint256 unit = 10 ** _timing.decimals;
        uint256 duration = leg.longest;
        if (hoursAhead < duration * unit) duration = _least(hoursAhead * 1 hours / unit, duration);
        uint40 dueAt = uint40(leg.departedAt + duration);
        leg.dueAt = dueAt;
        emit ArrivalPredicted(shipment, number, dueAt);
    }

    /// @dev Without a prediction, the agreed duration holds at once.
    function _onCleared(bytes32, bytes32 context) internal override {
        _legs[context & ~bytes32(uint256(0xff))][uint8(uint256(context))].forecastBy = 0;
    }

    // --- internal: legs ---------------------------------------------------------------------------

    function _arrive(Leg storage leg, uint40 at) private {
        (leg.status, leg.arrivedAt) = (LegStatus.Arrived, at);
    }

    /// @dev Gives the shipper `penalty` of a leg's deposit, and the carrier the rest.
    function _share(bytes32 shipment, uint256 number, uint256 penalty) private {
        Leg storage leg = _legs[shipment][number];
        Shipment storage moved = _shipments[shipment];
        uint256 released = leg.deposit - penalty;
        leg.status = LegStatus.Settled;
        _credit(moved.token, moved.shipper, penalty);
        _credit(moved.token, leg.carrier, released);
        emit LegSettled(shipment, number, penalty, released);
    }

    /// @dev Ends a shipment; legs from `unbegun` on give back what was deposited.
    function _end(bytes32 shipment, Shipment storage moved, uint256 unbegun) private {
        moved.stage = Stage.Over;
        for (uint256 i = unbegun; i < moved.legs; ++i) {
            if (_legs[shipment][i].status == LegStatus.Deposited) _share(shipment, i, 0);
        }
        emit ShipmentOver(shipment, moved.position);
    }

    function _penalty(Leg storage leg, uint256 dueAt, uint256 arrivedAt) private view returns (uint256) {
        uint256 onTime = dueAt + leg.grace;
        if (arrivedAt <= onTime) return 0;
        return _least((arrivedAt - onTime) * leg.perHour / 1 hours, leg.deposit);
    }

    // --- internal: checks -------------------------------------------------------------------------

    function _at(bytes32 shipment, Stage expected) private view returns (Shipment storage found) {
        found = _shipments[shipment];
        if (found.stage != expected) revert WrongStage(shipment, found.stage);
    }

    function _in(bytes32 shipment, uint256 leg, LegStatus expected) private view returns (Leg storage found) {
        found = _legs[shipment][leg];
        if (found.status != expected) revert WrongLegStatus(shipment, leg, found.status);
    }

    /// @dev Who gives and who receives at the hand-over that comes next.
    function _sides(bytes32 shipment, Shipment storage moved)
        private
        view
        returns (address giver, address receiver)
    {
        uint256 position = moved.position;
        giver = position == 0 ? moved.shipper : _legs[shipment][position - 1].carrier;
        receiver = position == moved.legs ? moved.consignee : _legs[shipment][position].carrier;
    }

    function _requireTime(uint256 at, uint256 earliest) private view {
        if (at < earliest || at > block.timestamp || at == 0) revert TimeOutOfBounds(at, earliest, block.timestamp);
    }

    function _digest(bytes32 shipment, uint256 position, uint40 at, bytes32 inputHash)
        private
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(HAND_OVER_TYPEHASH, shipment, position, at, inputHash)));
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}

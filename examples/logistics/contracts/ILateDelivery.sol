// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IPredictionConsumer} from "../../../contracts/interfaces/IPredictionConsumer.sol";

/// @notice The model that says how long a leg takes.
/// @param decimals It predicts hours in units of 10^-decimals.
/// @param maxFee The most that is paid for a prediction, in wei.
struct Timing {
    bytes32 modelId;
    bytes32 versionId;
    uint8 decimals;
    uint256 maxFee;
}

/// @notice What a carrier undertakes for one leg. Durations are in seconds, money in the token's base units.
/// @param deposit What the carrier puts in: the most it can lose.
/// @param perHour The penalty for each hour of being late, in proportion for parts of one.
/// @param grace How late is not late yet.
/// @param fallbackDuration How long the leg is expected to take if no prediction comes.
/// @param longest After this long with neither hand-over nor claim, the goods count as lost.
struct LegTerms {
    address carrier;
    uint128 deposit;
    uint128 perHour;
    uint32 grace;
    uint32 fallbackDuration;
    uint32 longest;
}

/// @notice What a shipper opens a shipment with.
/// @param consignee Who the last carrier hands the goods to.
/// @param token Currency of deposits; zero for ETH.
/// @param startBy The last second at which the first carrier may take the goods over.
struct ShipmentTerms {
    address consignee;
    address token;
    uint40 startBy;
    LegTerms[] legs;
}

/// @notice None -> Open -> Underway -> Over; Underway -> Claimed -> Underway | Contested | Over;
/// Contested -> Underway | Over.
/// @param Open Deposits come in; the goods are with the shipper.
/// @param Underway A carrier has the goods.
/// @param Claimed That carrier says it has arrived, and the other side has not signed.
/// @param Contested The other side denies it.
/// @param Over No goods will change hands any more; legs that arrived may still have to be settled.
enum Stage {
    None,
    Open,
    Underway,
    Claimed,
    Contested,
    Over
}

/// @notice None -> Agreed -> Deposited -> Underway -> Arrived -> Settled, or settled earlier.
/// @param Settled The deposit was shared out, or given back.
enum LegStatus {
    None,
    Agreed,
    Deposited,
    Underway,
    Arrived,
    Settled
}

/// @notice A shipment as it stands.
/// @param position The hand-over that comes next: 0 to the first carrier, `legs` to the consignee.
/// @param missing How many carriers have not deposited.
/// @param claimedAt When the carrier says that it arrived; zero without a claim.
/// @param answerBy The last second for the other side to answer a claim, or for both to agree.
struct Shipment {
    address shipper;
    uint40 startBy;
    uint8 legs;
    uint8 position;
    address consignee;
    uint8 missing;
    Stage stage;
    uint40 claimedAt;
    address token;
    uint40 answerBy;
}

/// @notice A leg as it stands.
/// @param dueAt When the goods should arrive by the prediction; zero while there is none.
/// @param forecastBy The last second at which a prediction may come.
/// @param inputHash What both sides signed that the model be told (see `Query`); zero once it was asked.
struct Leg {
    address carrier;
    LegStatus status;
    uint40 departedAt;
    uint40 arrivedAt;
    uint128 deposit;
    uint128 perHour;
    uint32 grace;
    uint32 fallbackDuration;
    uint32 longest;
    uint40 dueAt;
    uint40 forecastBy;
    bytes32 inputHash;
}

/// @title ILateDelivery
/// @notice Holds what carriers deposit against being late, and shares it out by when they arrive, against
/// when a model predicted that they would.
///
/// Goods pass from the shipper through the carriers to the consignee. Each hand-over is a statement that
/// both sides sign (EIP-712; keys, or contracts by ERC-1271) and anyone brings here:
/// `HandOver(bytes32 shipment,uint8 position,uint40 at,bytes32 inputHash)`. It ends one leg and begins the
/// next, and fixes what the model is told of that; anyone may then pay for the prediction (`forecast`).
///
/// The penalty is `perHour` for each hour after `dueAt + grace`, at most the deposit. The shipper gets it,
/// the carrier gets the rest. Nobody is sent anything: `withdrawFees` takes out what one is owed.
///
/// Nobody's money depends on anybody's good will:
///
/// | what does not happen | what anyone can do, and what comes of it |
/// |---|---|
/// | a deposit, or the first hand-over, by `startBy` | `abandon`: all deposits go back |
/// | a prediction by `forecastBy` | `settle`: `fallbackDuration` takes its place |
/// | the receiver's signature | the carrier claims that it arrived (`claim`) |
/// | an answer to the claim within `RESPONSE` | `conclude`: the claim stands. A receiver that is a carrier has not turned up: its deposit goes to the shipper |
/// | an agreement on a contested claim within `RESOLUTION` | `conclude`: half of the deposit goes to the shipper, half back; the same for the receiver if it is a carrier |
/// | a hand-over or claim within `longest` | `lapse`: the goods count as lost, the deposit goes to the shipper |
///
/// In the last four, carriers whose legs have not begun get their deposits back.
///
/// Assumptions: tokens move exactly what they are told to and call no one; others are refused or harm those
/// who chose them.
///
/// WARNING: Times of hand-overs are what both sides sign. Two sides together can sign any.
///
/// WARNING: Without a verifier, a prediction is the word of a worker that the model's owner trusts.
interface ILateDelivery is IPredictionConsumer {
    /// @notice A shipment was opened; see `ShipmentTerms`.
    event ShipmentOpened(bytes32 indexed shipment, address indexed shipper, ShipmentTerms terms);

    /// @notice A carrier deposited for its leg.
    event Deposited(bytes32 indexed shipment, uint256 indexed leg, address indexed carrier, uint256 amount);

    /// @notice Goods changed hands at `at` (Unix seconds).
    event HandedOver(bytes32 indexed shipment, uint256 indexed position, uint40 at, bytes32 inputHash);

    /// @notice A leg's arrival was predicted.
    event ArrivalPredicted(bytes32 indexed shipment, uint256 indexed leg, uint40 dueAt);

    /// @notice A carrier says that it arrived at `at`.
    event ArrivalClaimed(bytes32 indexed shipment, uint256 indexed leg, uint40 at, uint40 answerBy);

    /// @notice The other side denies a claim.
    event ClaimContested(bytes32 indexed shipment, uint256 indexed leg, uint40 answerBy);

    /// @notice A leg's deposit was shared out.
    event LegSettled(bytes32 indexed shipment, uint256 indexed leg, uint256 penalty, uint256 released);

    /// @notice No goods will change hands any more.
    event ShipmentOver(bytes32 indexed shipment, uint256 position);

    /// @notice The same shipper has opened the same shipment before.
    error ShipmentExists(bytes32 shipment);

    /// @notice A shipment has one leg at least, and `most` at most.
    error WrongLegs(uint256 legs, uint256 most);

    /// @notice Nobody takes part by the zero address.
    error PartyIsZero();

    /// @notice A leg that is expected to take longer than it may.
    error FallbackTooLong(uint256 fallbackDuration, uint256 longest);

    /// @notice The shipment is not at a stage for this.
    error WrongStage(bytes32 shipment, Stage stage);

    /// @notice The leg is not in a state for this.
    error WrongLegStatus(bytes32 shipment, uint256 leg, LegStatus status);

    /// @notice Only `party` may do this.
    error NotParty(address party, address caller);

    /// @notice Another hand-over comes next.
    error WrongPosition(uint256 position, uint256 expected);

    /// @notice Not every carrier has deposited.
    error DepositsMissing(uint256 missing);

    /// @notice The time stated is before the goods were taken over, or has not come.
    error TimeOutOfBounds(uint256 at, uint256 earliest, uint256 latest);

    /// @notice Too late for this.
    error TooLate(uint256 latest, uint256 timestamp);

    /// @notice Too early for this.
    error TooEarly(uint256 earliest, uint256 timestamp);

    /// @notice What the model is to be told is not what both sides signed.
    error WrongInput(bytes32 given, bytes32 signed);

    /// @notice A prediction for this leg was asked for, or both sides want none.
    error AlreadyAsked(bytes32 shipment, uint256 leg);

    /// @notice A prediction is one number.
    error WrongScores(uint256 scores, uint256 expected);

    /// @notice Decimals beyond those a model can have.
    error TooManyDecimals(uint256 decimals, uint256 most);

    /// @notice Time to ask for a prediction after a hand-over was recorded, and for it to come, in seconds.
    function FORECAST_WINDOW() external view returns (uint256);

    /// @notice Time to answer a claim, in seconds.
    function RESPONSE() external view returns (uint256);

    /// @notice Time to agree on a contested claim, in seconds.
    function RESOLUTION() external view returns (uint256);

    /// @notice Opens a shipment of the caller's.
    /// @param salt Tells shipments on the same terms apart.
    /// @return shipment Its id, which depends on shipper, terms and salt; the last byte is zero.
    function open(ShipmentTerms calldata terms, bytes32 salt) external returns (bytes32 shipment);

    /// @notice Puts in the deposit of a leg. Only its carrier may.
    function deposit(bytes32 shipment, uint256 leg) external payable;

    /// @notice Records that goods changed hands. Anyone may, with the signatures of both sides.
    /// @param at When, in Unix seconds.
    /// @param inputHash What the model is to be told of the leg that begins; zero, and at the last hand-over
    /// anything, for no prediction.
    /// @dev Also reverts with the errors of `Signatures`.
    function handOver(
        bytes32 shipment,
        uint256 position,
        uint40 at,
        bytes32 inputHash,
        bytes calldata giverSignature,
        bytes calldata receiverSignature
    ) external;

    /// @notice Asks when a leg will arrive. Anyone may, once a leg, and pays for it exactly.
    /// @param secret With `input`, what both sides signed the hash of.
    /// @param input The canonical input, in clear.
    function forecast(bytes32 shipment, uint256 leg, bytes32 secret, bytes calldata input)
        external
        payable
        returns (bytes32 id);

    /// @notice Shares out the deposit of a leg that has arrived. Anyone may.
    function settle(bytes32 shipment, uint256 leg) external;

    /// @notice Says that the caller, who has the goods, arrived at `at`, and the other side does not sign.
    function claim(bytes32 shipment, uint40 at) external;

    /// @notice Denies a claim. Only the other side may.
    function contest(bytes32 shipment) external;

    /// @notice Ends a shipment whose claim was not answered, or not agreed upon. Anyone may.
    function conclude(bytes32 shipment) external;

    /// @notice Ends a shipment whose goods count as lost. Anyone may.
    function lapse(bytes32 shipment) external;

    /// @notice Ends a shipment that did not begin in time. Anyone may.
    function abandon(bytes32 shipment) external;

    /// @notice A shipment as it stands.
    function shipmentOf(bytes32 shipment) external view returns (Shipment memory);

    /// @notice A leg as it stands.
    function legOf(bytes32 shipment, uint256 leg) external view returns (Leg memory);

    /// @notice The penalty of a leg due at `dueAt` and arrived at `arrivedAt`.
    function penaltyOf(bytes32 shipment, uint256 leg, uint256 dueAt, uint256 arrivedAt)
        external
        view
        returns (uint256);

    /// @notice What both sides of a hand-over sign.
    function digestOf(bytes32 shipment, uint256 position, uint40 at, bytes32 inputHash)
        external
        view
        returns (bytes32);
}

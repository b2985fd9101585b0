// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice What the lender lends on.
/// @param modelId The model. Its first class is a default, its second that the borrower repays.
/// @param versionId The version that decides.
/// @param worker The only worker that may answer; zero for any.
/// @param feeToken The currency of the model's price; zero for ETH.
/// @param token The currency that is lent.
/// @param bureau Vouches, by its signature, for the data of an application.
/// @param maxLimit The limit of a borrower who is certain to repay, in base units.
/// @param cutoff The least probability of repayment, times 10^9, that is given a limit above zero.
/// @param feeBps What drawing costs, in hundredths of a percent of what is drawn, rounded up.
/// @param term Seconds from the score during which can be drawn.
/// @param grace Seconds after that until what is owed is due.
struct Lending {
    bytes32 modelId;
    bytes32 versionId;
    address worker;
    address feeToken;
    address token;
    address bureau;
    uint128 maxLimit;
    uint32 cutoff;
    uint16 feeBps;
    uint32 term;
    uint32 grace;
}

/// @notice None -> Applied -> Open | Declined; Open -> Defaulted; from None, Declined and, while nothing is
/// owed, Open one may apply (again). A default that is repaid in full becomes None, and stays on record.
enum LineStatus {
    None,
    Applied,
    Declined,
    Open,
    Defaulted
}

/// @notice A borrower's line of credit.
/// @param score Probability of repayment, times 10^9, by the last answer.
/// @param defaults How often the borrower has defaulted.
/// @param expiry The last second at which can be drawn.
/// @param due The last second at which what is owed can be repaid without a default.
/// @param limit The most that may be owed, in base units.
/// @param owed What is, fees included.
/// @param basis The request whose answer the score is.
struct Line {
    LineStatus status;
    uint32 score;
    uint16 defaults;
    uint40 expiry;
    uint40 due;
    uint128 limit;
    uint128 owed;
    bytes32 basis;
}

/// @notice What a bureau signs for, as EIP-712 typed data in the domain "modelward CreditLine".
/// @param borrower Whom the data are about.
/// @param inputHash What the request commits its input with; good for one application.
/// @param validUntil The last second at which it may be used.
struct Report {
    address borrower;
    bytes32 inputHash;
    uint40 validUntil;
}

/// @title ICreditLine
/// @notice Unsecured credit whose limit follows a prediction.
///
/// A borrower applies with sealed data that the bureau vouches for. The answer sets the limit: nothing below
/// `cutoff`, growing in proportion to `maxLimit` at certainty. Within it can be drawn until the line expires,
/// and is repaid until it is due; what is owed after that is a default, which anyone may declare.
///
/// Reasons: the contract records the score and the request it came from. Where the version is public and
/// linear, as the example's is, the borrower adds up the score from its own data, term by term.
///
/// Nobody can draw more than the lender put in and did not take out; a limit promises no liquidity.
///
/// WARNING: Nothing secures what is lent, and an account costs nothing: the bureau's signature is all that
/// ties a borrower to a person.
interface ICreditLine {
    /// @notice A borrower applied.
    event Applied(address indexed borrower, bytes32 indexed requestId);

    /// @notice A line was opened, up to `limit`.
    event LineOpened(
        address indexed borrower, bytes32 indexed requestId, uint256 score, uint256 limit, uint40 expiry, uint40 due
    );

    /// @notice The score is below the cutoff.
    event LineDeclined(address indexed borrower, bytes32 indexed requestId, uint256 score, uint256 cutoff);

    /// @notice An application was not answered, and counts as if it had not been made.
    event ApplicationLapsed(address indexed borrower, bytes32 indexed requestId);

    /// @notice A borrower took `amount`, and owes `fee` beside it.
    event Drawn(address indexed borrower, address indexed to, uint256 amount, uint256 fee);

    /// @notice `amount` was repaid; `owed` is left.
    event Repaid(address indexed borrower, address indexed payer, uint256 amount, uint256 owed);

    /// @notice What was owed was not repaid in time.
    event DefaultDeclared(address indexed borrower, uint256 owed);

    /// @notice The lender put in, or took out, money that is not lent.
    event Funded(uint256 amount);
    event Unfunded(address indexed to, uint256 amount);

    /// @notice Only the lender may do this.
    error NotLender(address lender, address caller);

    /// @notice Terms that cannot be lent on.
    error CutoffTooHigh(uint256 cutoff, uint256 whole);

    /// @notice The data are about somebody else.
    error NotBorrower(address borrower, address caller);

    /// @notice The bureau's signature could be used until `validUntil`.
    error ReportExpired(uint256 validUntil, uint256 timestamp);

    /// @notice Every report is good for one application.
    error ReportUsed(bytes32 inputHash);

    /// @notice In this state of the line one cannot apply.
    error CannotApply(LineStatus status, uint256 owed);

    /// @notice The line is not open.
    error LineNotOpen(LineStatus status);

    /// @notice The line could be drawn on until `expiry`.
    error LineExpired(uint256 expiry, uint256 timestamp);

    /// @notice As much would be owed, fee included.
    error OverLimit(uint256 owed, uint256 limit);

    /// @notice The lender has put in no more.
    error NotEnoughFunds(uint256 asked, uint256 available);

    /// @notice Nothing is owed.
    error NothingOwed(address borrower);

    /// @notice What is owed is not due before `due` has passed.
    error NotDue(uint256 due, uint256 timestamp);

    /// @notice The model has another number of classes.
    error WrongScoreCount(uint256 count, uint256 expected);

    /// @notice A probability is from 0 to 10^9.
    error ScoreOutOfRange(int256 score, uint256 most);

    /// @notice Who lends.
    function lender() external view returns (address);

    /// @notice What the lender lends on; fixed.
    function lending() external view returns (Lending memory);

    /// @notice What can be drawn or taken out now, in base units.
    function available() external view returns (uint256);

    /// @notice What a bureau signs.
    function reportDigest(Report calldata report) external view returns (bytes32);

    /// @notice Applies, or applies again, for a line; the caller pays for the prediction.
    /// @param input The framed input, sealed to the model.
    /// @param signature The bureau's, of `reportDigest`. See `IDataShare.redeemGrant`.
    /// @dev Also reverts with the errors of `Signatures` and of `IPredictionConsumer`.
    function applyForCredit(Report calldata report, bytes calldata input, bytes calldata signature)
        external
        payable
        returns (bytes32 id);

    /// @notice The limit that a score is given, in base units.
    function limitFor(uint256 score) external view returns (uint256);

    /// @notice Draws on the caller's line and sends `amount` to `to`.
    function draw(uint128 amount, address to) external;

    /// @notice Repays what `borrower` owes, at most `amount` of it, from the caller's tokens.
    /// @return paid What was taken.
    function repay(address borrower, uint128 amount) external returns (uint256 paid);

    /// @notice Declares that `borrower` did not repay in time. Anyone may.
    function declareDefault(address borrower) external;

    /// @notice Puts in money to lend; the lender's.
    function fund(uint256 amount) external;

    /// @notice Takes out money that is not lent; the lender's.
    function unfund(uint256 amount, address to) external;

    /// @notice A borrower's line as it stands.
    function lineOf(address borrower) external view returns (Line memory);
}

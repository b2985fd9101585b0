// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice Who gives the opinions.
/// @param modelId The model that both versions belong to. Its first class is benign, its second malignant.
/// @param firstVersion Gives the first opinion.
/// @param secondVersion Gives the second one.
/// @param firstWorker Runs the first version; zero for any of the model's workers.
/// @param secondWorker Runs the second version; zero for any.
struct Panel {
    bytes32 modelId;
    bytes32 firstVersion;
    bytes32 secondVersion;
    address firstWorker;
    address secondWorker;
}

/// @notice A patient's measurements, prepared for one request.
/// @param inputHash See `Query`.
/// @param input The framed input, sealed to the model.
struct Sample {
    bytes32 inputHash;
    bytes input;
}

/// @notice None -> First -> Closed, or None -> First -> Second -> Closed.
/// @param First The first opinion is awaited.
/// @param Second The first one was in doubt; the second is awaited.
enum Stage {
    None,
    First,
    Second,
    Closed
}

/// @notice What a case came to. Inconclusive: no opinion, or the last of them in doubt.
enum Finding {
    Pending,
    Benign,
    Malignant,
    Inconclusive
}

/// @notice A case.
/// @param clinician Who opened it.
/// @param basis The request whose answer the finding rests on; zero for an inconclusive case.
/// @param firstScore Probability of malignancy by the first opinion, times 10^9.
/// @param secondScore The same by the second opinion.
/// @param prepaid Wei held for a second opinion.
struct Case {
    address clinician;
    Stage stage;
    Finding finding;
    uint32 firstScore;
    uint32 secondScore;
    uint96 prepaid;
    bytes32 basis;
}

/// @title IDiagnosis
/// @notice Whether a mass is malignant, by a model's opinion and, where that is in doubt, by another one.
///
/// An opinion is in doubt if its probability of malignancy is less than `margin` away from `threshold`.
/// The contract then asks for the second opinion by itself, in the callback that brought the first, with
/// the sample and the fee it was given for it. It records which answer the finding rests on.
///
/// WARNING: A finding is what models say of the numbers they were given. Nobody here can tell whose
/// numbers they are, or whether both samples are of one patient. It treats nobody.
interface IDiagnosis {
    /// @notice A case was opened and the first opinion asked for.
    event CaseOpened(uint256 indexed caseId, address indexed clinician, bytes32 requestId);

    /// @notice The first opinion was in doubt, and a second one was asked for.
    event SecondOpinionAsked(uint256 indexed caseId, uint256 firstScore, bytes32 requestId);

    /// @notice A case was closed; `basis` is the request whose answer was used, zero for none.
    event CaseClosed(uint256 indexed caseId, Finding finding, Stage opinion, bytes32 basis);

    /// @notice The same version run by the same worker gives the same opinion twice.
    error SameOpinionTwice(bytes32 versionId, address firstWorker, address secondWorker);

    /// @notice Threshold and margin must leave room for a clear opinion on either side.
    error MarginTooWide(uint256 threshold, uint256 margin, uint256 whole);

    /// @notice The model has another number of classes.
    error WrongScoreCount(uint256 count, uint256 expected);

    /// @notice A probability is from 0 to 10^9.
    error ScoreOutOfRange(int256 score, uint256 most);

    /// @notice Who gives the opinions.
    function panel() external view returns (Panel memory);

    /// @notice From this probability of malignancy on, times 10^9, a mass counts as malignant.
    function threshold() external view returns (uint256);

    /// @notice An opinion nearer to the threshold than this is in doubt.
    function margin() external view returns (uint256);

    /// @notice What a case costs now: both opinions, in wei. What the second is not needed for comes back.
    function price() external view returns (uint256);

    /// @notice Opens a case and asks for the first opinion. `price` is to be sent along.
    /// @param first For the first opinion.
    /// @param second The same measurements, prepared for a request of their own; kept in case.
    function open(Sample calldata first, Sample calldata second) external payable returns (uint256 caseId);

    /// @notice A case as it stands.
    function caseOf(uint256 caseId) external view returns (Case memory);
}

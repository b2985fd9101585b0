// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IExactPrograms} from "../../../contracts/interfaces/IExactPrograms.sol";
import {ExactAnswer, IExactReferee} from "../../../contracts/interfaces/IExactReferee.sol";
import {Query} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Metric, ModelTerms, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Digests} from "./Digests.sol";
import {Listing, Market, Placed} from "./Market.sol";
import {vm} from "./Vm.sol";

/// @dev A request for an exact model, with what only its requester knows and what only the program says.
struct Asked {
    Placed placed;
    bytes32 secret;
    bytes input;
    bytes output;
}

/// @notice A market with a referee, a program of one feature whose output is its input, and a version.
abstract contract ExactMarket is Market {
    uint32 internal constant WINDOW = 2 hours;
    /// @dev Odd, so that one wei cannot be halved.
    uint128 internal constant BOND = 1 ether + 1;
    bytes internal constant PROGRAM = hex"01010200010000010001" hex"01" hex"0001010000" hex"00000000000000000000" hex"01";

    IExactPrograms internal programs;
    IExactReferee internal referee;
    uint256 private _secrets;

    function setUp() public virtual override {
        super.setUp();
        programs = IExactPrograms(_deploy("ExactPrograms", ""));
        referee = IExactReferee(_deploy("ExactReferee", abi.encode(escrow, programs)));
        programs.store(PROGRAM);
        address[3] memory stakers = [worker, otherWorker, outsider];
        for (uint256 i = 0; i < stakers.length; ++i) {
            vm.deal(stakers[i], 100 ether);
            vm.prank(stakers[i]);
            referee.deposit{value: 10 ether}();
        }
    }

    // --- versions ---------------------------------------------------------------------------------

    function _exactVersion(bytes32 modelId) internal view returns (Version memory version) {
        version = _version(modelId);
        version.verifier = address(referee);
        version.programHash = keccak256(PROGRAM);
        version.verifierSettings = _settings(WINDOW, BOND);
    }

    function _settings(uint256 window, uint256 bond) internal pure returns (bytes32) {
        return bytes32(window << 128 | bond);
    }

    function _publish(Version memory version) internal returns (Listing memory listing) {
        listing.modelId = version.modelId;
        vm.prank(owner);
        (listing.versionId,) = registry.publishVersion(version, "");
        _grantServe(version.modelId, worker);
        _grantServe(version.modelId, otherWorker);
        _grantInfer(version.modelId, requester, 10);
    }

    /// @dev An admitted version of a model by these terms.
    function _listExactly(ModelTerms memory terms) internal returns (Listing memory listing) {
        Version memory version = _exactVersion(_register(terms, new Metric[](0)));
        listing = _publish(version);
        referee.admit(version);
    }

    function _listExactly() internal returns (Listing memory) {
        return _listExactly(_terms());
    }

    // --- requests and answers ---------------------------------------------------------------------

    function _inputOf(uint32 number) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(2), number);
    }

    /// @dev What the program makes of it.
    function _outputOf(uint32 number) internal pure returns (bytes memory) {
        int256[] memory scores = new int256[](1);
        scores[0] = int256(uint256(number));
        return abi.encode(uint256(1), uint256(0), scores);
    }

    /// @dev Asks for a sealed output.
    function _ask(Listing memory listing, bytes memory input) internal returns (Asked memory asked) {
        Query memory query = _query();
        query.replyKey = keccak256("reply key");
        return _ask(listing, query, input);
    }

    function _ask(Listing memory listing, Query memory query, bytes memory input) internal returns (Asked memory asked) {
        asked.secret = keccak256(abi.encode("secret", ++_secrets));
        asked.input = input;
        query.inputHash = keccak256(abi.encode(asked.secret, input));
        asked.placed = _place(listing, query);
    }

    function _ask(Listing memory listing, uint32 number) internal returns (Asked memory asked) {
        asked = _ask(listing, _inputOf(number));
        asked.output = _outputOf(number);
    }

    function _resultSalt(bytes32 secret) internal pure returns (bytes32) {
        return keccak256(abi.encode(secret, "result"));
    }

    function _right(Asked memory asked) internal pure returns (bytes32) {
        return Digests.ofResult(asked.placed.id, asked.output, _resultSalt(asked.secret));
    }

    function _answer(address by, Asked memory asked, bytes32 commitment, bytes memory output)
        internal
        returns (ExactAnswer memory)
    {
        vm.prank(by);
        referee.answer(asked.placed.offer, asked.placed.terms, commitment, output);
        return ExactAnswer(by, uint40(block.timestamp + WINDOW), BOND, commitment, 0, output);
    }

    function _answerRightly(Asked memory asked) internal returns (ExactAnswer memory) {
        return _answer(worker, asked, _right(asked), OUTPUT);
    }

    function _answerWrongly(Asked memory asked) internal returns (ExactAnswer memory) {
        return _answer(worker, asked, COMMITMENT, OUTPUT);
    }

    function _challenge(address by, Asked memory asked, ExactAnswer memory answer) internal {
        vm.prank(by);
        referee.challenge(asked.placed.offer, asked.placed.terms, answer, asked.secret, asked.input);
    }

    function _settle(Asked memory asked, ExactAnswer memory answer) internal {
        vm.prank(outsider);
        referee.settle(asked.placed.offer, asked.placed.terms, answer);
    }

    function _accept(address by, Asked memory asked, ExactAnswer memory answer) internal {
        vm.prank(by);
        referee.accept(asked.placed.offer, asked.placed.terms, answer);
    }
}

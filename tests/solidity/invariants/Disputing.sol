// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {IExactPrograms} from "../../../contracts/interfaces/IExactPrograms.sol";
import {ExactAnswer, IExactReferee} from "../../../contracts/interfaces/IExactReferee.sol";
import {IInferenceEscrow, Query, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Metric, ModelTerms, Offer, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Coin} from "../actors/Coin.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";

/// @dev A request for an exact model as the specification says it stands.
/// @param number The input, where the program takes it.
/// @param parsable Whether it does.
/// @param answer What is examined, while `pending`.
/// @param isRight Whether that is the one right answer.
struct Case {
    bytes32 id;
    Offer offer;
    Request terms;
    bytes32 secret;
    uint32 number;
    bool parsable;
    RequestStatus status;
    bytes31 commitment;
    bool pending;
    bool isRight;
    ExactAnswer answer;
}

/// @notice Everything that happens before the referee, honest and not, with a second set of books. One model
/// is paid for in ether, another in a token; bonds are in ether always.
contract Disputing {
    uint256 private constant SETTLE_TIME = 1 days;
    uint256 private constant FEE = 1_000_003 gwei;
    uint256 private constant MAX_WINDOW = 3 hours;
    address private constant ETH = address(0);

    IDataShare private immutable dataShare;
    IModelRegistry private immutable registry;
    IInferenceEscrow private immutable escrow;
    IExactReferee private immutable referee;

    address private immutable owner = vm.addr(31);
    HostileAccount public immutable consumer = new HostileAccount();
    HostileAccount public immutable refuser = new HostileAccount();
    Coin public immutable coin = new Coin();

    /// @notice Requesters, workers and bystanders, each once; all of them challenge.
    address[] public accounts;
    Version[2] private _versions;
    Case[] private _cases;

    mapping(address account => uint256) public balance;
    mapping(address token => mapping(address account => uint256)) public credit;
    uint256 public forcedOnReferee;
    uint256 public lostByTheHonest;
    uint256 private _counter;

    /// @dev The case that the consumer tries to end when it is called, and how.
    uint256 private _ploy;
    bool private _ploysToRelease;

    constructor(
        IDataShare dataShare_,
        IModelRegistry registry_,
        IInferenceEscrow escrow_,
        IExactReferee referee_,
        bytes32 programHash
    ) {
        (dataShare, registry, escrow, referee) = (dataShare_, registry_, escrow_, referee_);
        accounts = [vm.addr(21), address(consumer), vm.addr(41), address(refuser), vm.addr(51), owner];
        for (uint256 i = 0; i < accounts.length; ++i) {
            vm.deal(accounts[i], type(uint96).max);
            coin.mint(accounts[i], type(uint96).max);
            vm.prank(accounts[i]);
            coin.approve(address(escrow), type(uint256).max);
        }
        for (uint256 i = 0; i < 2; ++i) {
            _open(i, programHash);
        }
    }

    // --- reading ----------------------------------------------------------------------------------

    function count() external view returns (uint256) {
        return _cases.length;
    }

    function caseAt(uint256 place) external view returns (Case memory) {
        return _cases[place];
    }

    function allAccounts() external view returns (address[] memory) {
        return accounts;
    }

    /// @dev Sees to it that what the consumer does when called is entered as well.
    modifier watched() {
        uint256 before = consumer.successes();
        _;
        if (consumer.successes() != before) {
            if (_ploysToRelease) _release(_cases[_ploy]);
            else _pay(_cases[_ploy]);
        }
    }

    // --- handlers ---------------------------------------------------------------------------------

    function deposit(uint256 seed, uint96 amount) external {
        address account = accounts[seed % accounts.length];
        amount = uint96(1 + amount % 10 ether);
        vm.prank(account);
        referee.deposit{value: amount}();
        balance[account] += amount;
    }

    function withdraw(uint256 seed, uint256 amount) external {
        address account = _pickAccount(seed);
        amount = 1 + amount % balance[account];
        address to = vm.addr(61);
        uint256 before = to.balance;
        vm.prank(account);
        referee.withdraw(amount, to);
        balance[account] -= amount;
        vm.assertEq(to.balance - before, amount, "what is withdrawn arrives");
    }

    function request(uint256 seed, uint32 number) external {
        _request(seed, number);
    }

    function answerRightly(uint256 seed) external {
        Case storage a = _open(seed);
        vm.assume(a.parsable);
        _answer(a, accounts[2 + seed % 2], true, seed);
    }

    function answerWrongly(uint256 seed) external {
        _answer(_open(seed), accounts[2 + seed % 2], false, seed);
    }

    function refuse(uint256 seed) external {
        Case storage a = _open(seed);
        vm.prank(accounts[2 + seed % 2]);
        referee.refuse(a.offer, a.terms, uint8(seed));
        _return(a, RequestStatus.Corrected, referee.REFUSAL());
    }

    /// @dev A wrong answer is corrected; of a right one the challenge must fail.
    function challenge(uint256 seed) external {
        Case storage a = _pending(seed, true);
        address challenger = accounts[seed / 8 % accounts.length];
        bytes memory input = _input(a);
        vm.prank(challenger);
        (bool done, bytes memory reason) = address(referee).call(
            abi.encodeCall(referee.challenge, (a.offer, a.terms, a.answer, a.secret, input))
        );
        vm.assertEq(done, !a.isRight, "a challenge works if and only if the answer is wrong");
        if (!done) {
            vm.assertEq(bytes4(reason), IExactReferee.AnswerIsRight.selector, "right");
            vm.assume(false);
        }
        uint256 half = a.answer.bond / 2;
        balance[challenger] += half;
        balance[a.terms.payer] += a.answer.bond - half;
        if (a.isRight) lostByTheHonest += a.answer.bond;
        a.pending = false;
        _return(a, RequestStatus.Corrected, a.parsable ? _right(a) : referee.REFUSAL());
    }

    function accept(uint256 seed) external watched {
        Case storage a = _pending(seed, false);
        vm.prank(a.terms.requester);
        referee.accept(a.offer, a.terms, a.answer);
        _pay(a);
    }

    function settle(uint256 seed) external watched {
        Case storage a = _pending(seed, false);
        if (block.timestamp <= a.answer.settleAfter) vm.warp(a.answer.settleAfter + 1);
        vm.prank(accounts[seed / 8 % accounts.length]);
        referee.settle(a.offer, a.terms, a.answer);
        _pay(a);
    }

    function refund(uint256 seed) external {
        Case storage a = _due(seed);
        escrow.refund(a.id);
        _return(a, RequestStatus.Refunded, 0);
    }

    function release(uint256 seed) external {
        (bool found, uint256 place) = _find(seed, _isLapsed);
        if (!found) {
            (found, place) = _find(seed, _isPending);
            vm.assume(found);
            vm.warp(_cases[place].answer.settleAfter + SETTLE_TIME + 1);
        }
        Case storage a = _cases[place];
        referee.release(a.id, a.answer);
        _release(a);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + 1 + time % 90 minutes);
    }

    function force(uint96 amount) external {
        vm.assume(amount != 0);
        vm.deal(address(referee), address(referee).balance + amount);
        forcedOnReferee += amount;
    }

    function turnHostile(uint256 seed) external {
        HostileAccount account = seed & 1 == 0 ? refuser : consumer;
        account.behave(Behaviour(seed / 2 % 5));
        if (address(account) != address(consumer) || _cases.length == 0 || seed & 64 == 0) return;
        (_ploy, _ploysToRelease) = (seed / 128 % _cases.length, seed & 32 != 0);
        Case storage a = _cases[_ploy];
        bytes memory data = _ploysToRelease
            ? abi.encodeCall(referee.release, (a.id, a.answer))
            : abi.encodeCall(referee.accept, (a.offer, a.terms, a.answer));
        consumer.reenter(address(referee), data);
    }

    // --- internal: what is done -------------------------------------------------------------------

    function _open(uint256 number, bytes32 programHash) private {
        ModelTerms memory terms = ModelTerms({
            fee: FEE * (number + 1),
            token: number == 0 ? ETH : address(coin),
            payee: address(refuser),
            payeeBps: 3_333,
            maxDelay: 2 days,
            open: true
        });
        vm.prank(owner);
        bytes32 modelId = registry.registerModel(string(abi.encode(number)), terms, new Metric[](0));
        Version memory version;
        version.modelId = modelId;
        version.bundleHash = version.contentHash = version.manifestHash = bytes32(number + 1);
        version.programHash = programHash;
        version.verifier = address(referee);
        version.verifierSettings = bytes32((number + 1) * 1 hours << 128 | 1 ether + number);
        version.attestor = owner;
        _versions[number].modelId = modelId;
        vm.prank(owner);
        registry.publishVersion(version, "");
        _versions[number].bundleHash = referee.admit(version);
        for (uint256 i = 2; i < 4; ++i) {
            vm.prank(owner);
            dataShare.grant(accounts[i], modelId, GrantTerms(4, type(uint40).max, 0, address(0)), "");
        }
    }

    function _request(uint256 seed, uint32 number) private returns (Case storage a) {
        Version storage version = _versions[seed % 2];
        bool calls = seed / 2 % 3 == 0;
        address requester = accounts[calls ? 1 : seed / 8 % 2];
        a = _cases.push();
        a.secret = bytes32(++_counter);
        (a.number, a.parsable) = (number, seed / 16 % 4 != 0);
        Query memory query;
        query.inputHash = keccak256(abi.encode(a.secret, _input(a)));
        query.deadline = uint40(block.timestamp + 1 + seed / 64 % 1 days);
        if (calls) query.callbackGas = 500_000;
        else query.replyKey = bytes32(seed / 32 % 2);
        (a.offer,,) = registry.quote(version.modelId, version.bundleHash);
        a.terms = Request(requester, requester, query);
        a.id = Digests.ofRequest(address(escrow), a.offer, a.terms);
        bool inEther = a.offer.token == ETH;
        a.status = inEther ? RequestStatus.Open : RequestStatus.OpenErc20;
        vm.prank(requester);
        escrow.request{value: inEther ? a.offer.fee : 0}(version.modelId, version.bundleHash, query, "");
    }

    function _answer(Case storage a, address worker, bool rightly, uint256 seed) private {
        uint128 bond = uint128(referee.termsOf(a.offer.versionId).bond);
        if (balance[worker] < bond) {
            vm.deal(worker, type(uint96).max);
            vm.prank(worker);
            referee.deposit{value: bond}();
            balance[worker] += bond;
        }
        bytes memory output = rightly ? _output(a) : bytes("another");
        bytes32 salt = keccak256(abi.encode(a.secret, "result"));
        bytes32 commitment = rightly || seed & 8 == 0 && a.terms.query.replyKey == 0 && a.parsable
            ? _right(a)
            : bytes32(seed | 1 << 255);
        vm.prank(worker);
        if (a.terms.query.callbackGas == 0) {
            output = bytes.concat(hex"00", output);
            referee.answer(a.offer, a.terms, commitment, output);
            salt = 0;
        } else {
            referee.answerWithCallback(a.offer, a.terms, salt, output);
            commitment = Digests.ofResult(a.id, output, salt);
            output = bytes.concat(hex"00", output);
        }
        uint40 settleAfter = uint40(block.timestamp + referee.termsOf(a.offer.versionId).window);
        a.answer = ExactAnswer(worker, settleAfter, bond, commitment, salt, output);
        a.isRight = rightly;
        a.pending = true;
        a.status = a.offer.token == ETH ? RequestStatus.Held : RequestStatus.HeldErc20;
        balance[worker] -= bond;
    }

    function _pay(Case storage a) private {
        a.pending = false;
        a.status = RequestStatus.Fulfilled;
        a.commitment = bytes31(a.answer.commitment);
        balance[a.answer.worker] += a.answer.bond;
        uint256 share = a.offer.fee * a.offer.payeeBps / 10_000;
        credit[a.offer.token][a.offer.payee] += share;
        credit[a.offer.token][a.answer.worker] += a.offer.fee - share;
    }

    function _release(Case storage a) private {
        a.pending = false;
        balance[a.answer.worker] += a.answer.bond;
    }

    function _return(Case storage a, RequestStatus status, bytes32 commitment) private {
        a.status = status;
        a.commitment = bytes31(commitment);
        credit[a.offer.token][a.terms.payer] += a.offer.fee;
    }

    // --- internal: what is right ------------------------------------------------------------------

    function _input(Case storage a) private view returns (bytes memory) {
        return abi.encodePacked(a.parsable ? uint8(2) : uint8(3), a.number);
    }

    function _output(Case storage a) private view returns (bytes memory) {
        int256[] memory scores = new int256[](1);
        scores[0] = int256(uint256(a.number));
        return abi.encode(uint256(1), uint256(0), scores);
    }

    function _right(Case storage a) private view returns (bytes32) {
        return Digests.ofResult(a.id, _output(a), keccak256(abi.encode(a.secret, "result")));
    }

    // --- internal: picking ------------------------------------------------------------------------

    function _open(uint256 seed) private returns (Case storage) {
        (bool found, uint256 place) = _find(seed, _isOpen);
        return found ? _cases[place] : _request(seed, uint32(seed / 256));
    }

    /// @dev An answer that is examined; where there is none, one is posted, rightly or not.
    function _pending(uint256 seed, bool challengeable) private returns (Case storage a) {
        (bool found, uint256 place) =
            _find(seed, challengeable ? _isChallengeable : _isSettleable);
        if (found) return _cases[place];
        a = _open(seed);
        _answer(a, accounts[2 + seed % 2], a.parsable && seed & 4 == 0, seed);
    }

    function _due(uint256 seed) private returns (Case storage) {
        (bool found, uint256 place) = _find(seed, _isDue);
        if (!found) {
            (found, place) = _find(seed, _isUnended);
            vm.assume(found);
            vm.warp(uint256(_deadlineOf(_cases[place])) + 1);
        }
        return _cases[place];
    }

    function _deadlineOf(Case storage a) private view returns (uint256) {
        return _isUnanswered(a) ? a.terms.query.deadline : a.answer.settleAfter + SETTLE_TIME;
    }

    function _isOpen(Case storage a) private view returns (bool) {
        return _isUnanswered(a) && block.timestamp <= a.terms.query.deadline;
    }

    function _isUnanswered(Case storage a) private view returns (bool) {
        return a.status == RequestStatus.Open || a.status == RequestStatus.OpenErc20;
    }

    function _isPending(Case storage a) private view returns (bool) {
        return a.pending;
    }

    function _isChallengeable(Case storage a) private view returns (bool) {
        return a.pending && block.timestamp <= a.answer.settleAfter;
    }

    function _isSettleable(Case storage a) private view returns (bool) {
        return a.pending && block.timestamp <= a.answer.settleAfter + SETTLE_TIME;
    }

    function _isLapsed(Case storage a) private view returns (bool) {
        return a.pending && block.timestamp > a.answer.settleAfter + SETTLE_TIME;
    }

    function _isUnended(Case storage a) private view returns (bool) {
        return _isUnanswered(a) || a.status == RequestStatus.Held || a.status == RequestStatus.HeldErc20;
    }

    function _isDue(Case storage a) private view returns (bool) {
        return _isUnended(a) && block.timestamp > _deadlineOf(a);
    }

    function _find(uint256 seed, function(Case storage) view returns (bool) suits)
        private
        view
        returns (bool found, uint256 place)
    {
        for (uint256 i = 0; i < _cases.length; ++i) {
            place = (seed % _cases.length + i) % _cases.length;
            if (suits(_cases[place])) return (true, place);
        }
    }

    function _pickAccount(uint256 seed) private view returns (address account) {
        for (uint256 i = 0; i < accounts.length; ++i) {
            account = accounts[(seed % 8 + i) % accounts.length];
            if (balance[account] != 0) return account;
        }
        vm.assume(false);
    }
}

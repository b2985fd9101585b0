// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    IModelRegistry,
    Metric,
    ModelState,
    ModelTerms,
    Offer,
    ServiceKey
} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Listing, Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract ModelTest is Market {
    Metric[] private _none;

    function testFuzz_aModelIsRegisteredUnderItsOwnersName(address account, string memory name, bool open) external {
        uint256 length = bytes(name).length;
        ModelTerms memory terms = _terms();
        terms.open = open;
        if (length == 0 || length > 64) {
            _refuses(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, length, 64));
            vm.prank(account);
            registry.registerModel(name, terms, _none);
            return;
        }
        vm.assume(account != address(0));
        bytes32 expected = keccak256(abi.encode(account, name));
        vm.assertEq(registry.modelIdOf(account, name), expected, "modelIdOf");
        _announces(address(registry));
        emit IModelRegistry.ModelRegistered(expected, account, name);
        _announces(address(registry));
        emit IModelRegistry.TermsSet(expected, terms);
        vm.prank(account);
        vm.assertEq(registry.registerModel(name, terms, _none), expected, "id");

        ModelState memory state = registry.modelOf(expected);
        vm.assertEq(state.owner, account, "owner");
        vm.assertTrue(!state.retired && state.versions == 0, "new");
        vm.assertEq(keccak256(abi.encode(state.terms)), keccak256(abi.encode(terms)), "terms");
        vm.assertEq(registry.thresholdsOf(expected).length, 0, "thresholds");

        _refuses(abi.encodeWithSelector(IModelRegistry.ModelExists.selector, expected));
        vm.prank(account);
        registry.registerModel(name, terms, _none);
    }

    function test_namesHaveUpTo64Bytes() external {
        bytes memory name = new bytes(64);
        registry.registerModel(string(name), _terms(), _none);
        name = new bytes(65);
        _refuses(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, 65, 64));
        registry.registerModel(string(name), _terms(), _none);
    }

    function testFuzz_termsAreCheckedAndKept(ModelTerms memory terms, uint256 shape) external {
        bytes32 modelId = _register();
        // most terms are to be good ones
        if (shape & 3 != 0) terms.token = shape & 1 != 0 ? address(coin) : ETH;
        if (shape & 12 != 0) terms.fee = terms.token == ETH ? terms.fee % 2 ** 48 * 1 gwei : terms.fee % 2 ** 96;
        if (shape & 48 != 0) terms.payeeBps %= 10_002;
        if (shape & 64 != 0) terms.maxDelay %= 2;

        bytes memory refusal = _refusal(terms);
        if (refusal.length != 0) {
            _refuses(refusal);
        } else {
            _announces(address(registry));
            emit IModelRegistry.TermsSet(modelId, terms);
        }
        vm.prank(owner);
        registry.setTerms(modelId, terms);
        if (refusal.length != 0) terms = _terms();
        vm.assertEq(keccak256(abi.encode(registry.modelOf(modelId).terms)), keccak256(abi.encode(terms)), "terms");
        vm.assertEq(registry.modelOf(modelId).owner, owner, "owner");
    }

    function test_theBoundsOfTermsAreInclusive() external {
        bytes32 modelId = _register();
        ModelTerms memory terms = _terms();
        vm.startPrank(owner);
        (terms.fee, terms.payeeBps, terms.maxDelay) = ((2 ** 48 - 1) * 1 gwei, 10_000, 1);
        registry.setTerms(modelId, terms);
        terms.fee += 1 gwei;
        _refuses(_invalidFee(terms.fee, 1 gwei, (2 ** 48 - 1) * 1 gwei));
        registry.setTerms(modelId, terms);
        terms.fee = 1;
        _refuses(_invalidFee(1, 1 gwei, (2 ** 48 - 1) * 1 gwei));
        registry.setTerms(modelId, terms);

        (terms.token, terms.fee) = (address(coin), 2 ** 96 - 1);
        registry.setTerms(modelId, terms);
        terms.fee += 1;
        _refuses(_invalidFee(2 ** 96, 1, 2 ** 96 - 1));
        registry.setTerms(modelId, terms);
        (terms.fee, terms.payeeBps) = (1, 10_001);
        _refuses(abi.encodeWithSelector(IModelRegistry.InvalidShare.selector, 10_001, 10_000));
        registry.setTerms(modelId, terms);
        vm.stopPrank();
    }

    function testFuzz_termsChangeBetweenCurrenciesAndPayees(uint256 first, uint256 second) external {
        bytes32 modelId = _register();
        uint256[2] memory shapes = [first, second];
        for (uint256 i = 0; i < 2; ++i) {
            ModelTerms memory terms = ModelTerms({
                fee: shapes[i] % 1_000 * 1 gwei,
                token: shapes[i] & 1 == 0 ? ETH : address(coin),
                payee: shapes[i] & 2 == 0 ? address(0) : payee,
                payeeBps: uint16(shapes[i] % 10_001),
                maxDelay: uint24(1 + shapes[i] % 1_000),
                open: shapes[i] & 4 == 0
            });
            vm.prank(owner);
            registry.setTerms(modelId, terms);
            vm.assertEq(
                keccak256(abi.encode(registry.modelOf(modelId).terms)), keccak256(abi.encode(terms)), "terms"
            );
        }
    }

    // --- who may ----------------------------------------------------------------------------------

    function testFuzz_nobodyButTheOwnerChangesAModel(address caller) external {
        vm.assume(caller != owner);
        Listing memory listing = _list();
        bytes32 modelId = listing.modelId;
        bytes memory refusal =
            abi.encodeWithSelector(IModelRegistry.NotOwner.selector, modelId, owner, caller);
        bytes[] memory calls = _ownersCalls(listing);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refusesCall(caller, calls[i], refusal);
        }
    }

    function test_aRetiredModelIsRetiredForGood() external {
        Listing memory listing = _list();
        _announces(address(registry));
        emit IModelRegistry.ModelRetired(listing.modelId);
        vm.prank(owner);
        registry.retireModel(listing.modelId);
        vm.assertTrue(registry.modelOf(listing.modelId).retired, "retired");
        vm.assertEq(
            keccak256(abi.encode(registry.modelOf(listing.modelId).terms)), keccak256(abi.encode(_terms())), "terms"
        );

        bytes memory refusal = abi.encodeWithSelector(IModelRegistry.ModelIsRetired.selector, listing.modelId);
        bytes[] memory calls = _ownersCalls(listing);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refusesCall(owner, calls[i], refusal);
        }
        _refusesCall(owner, abi.encodeCall(registry.quote, (listing.modelId, listing.versionId)), refusal);
        _refusesCall(outsider, abi.encodeCall(registry.acceptOwnership, (listing.modelId)), refusal);
    }

    function testFuzz_anUnknownModelIsSaidToBeUnknown(bytes32 modelId) external {
        Listing memory listing = Listing(modelId, modelId);
        bytes memory refusal = abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, modelId);
        bytes[] memory calls = _ownersCalls(listing);
        for (uint256 i = 0; i < calls.length; ++i) {
            _refusesCall(owner, calls[i], refusal);
        }
        _refusesCall(owner, abi.encodeCall(registry.quote, (modelId, modelId)), refusal);
        _refusesCall(owner, abi.encodeCall(registry.modelOf, (modelId)), refusal);
        _refusesCall(owner, abi.encodeCall(registry.acceptOwnership, (modelId)), refusal);
    }

    // --- quoting ----------------------------------------------------------------------------------

    function testFuzz_aQuoteIsWhatTheTermsSay(uint256 fee, bool inCoin, bool open, address to, uint24 maxDelay)
        external
    {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        (terms.token, terms.open, terms.payee) = (inCoin ? address(coin) : ETH, open, to);
        terms.maxDelay = maxDelay == 0 ? 1 : maxDelay;
        Listing memory listing = _list(terms, verifier);
        (Offer memory offer, uint256 delay, bool isOpen) = registry.quote(listing.modelId, listing.versionId);
        Offer memory expected = Offer({
            modelId: listing.modelId,
            versionId: listing.versionId,
            owner: owner,
            payee: to == address(0) ? owner : to,
            payeeBps: terms.payeeBps,
            token: terms.token,
            fee: terms.fee,
            verifier: verifier
        });
        vm.assertEq(keccak256(abi.encode(offer)), keccak256(abi.encode(expected)), "offer");
        vm.assertEq(delay, terms.maxDelay, "maxDelay");
        vm.assertEq(isOpen, open, "open");
    }

    // --- transfer ---------------------------------------------------------------------------------

    function testFuzz_aModelIsHandedOverInTwoSteps(address newOwner, bool ownPayee) external {
        vm.assume(newOwner != address(0));
        ModelTerms memory terms = _terms();
        if (!ownPayee) terms.payee = address(0);
        Listing memory listing = _list(terms, address(0));
        bytes32 modelId = listing.modelId;

        _announces(address(registry));
        emit IModelRegistry.OwnershipOffered(modelId, owner, newOwner);
        vm.prank(owner);
        registry.offerOwnership(modelId, newOwner);
        vm.assertEq(registry.pendingOwnerOf(modelId), newOwner, "offered");
        vm.assertEq(registry.modelOf(modelId).owner, owner, "not yet");

        _announces(address(registry));
        emit IModelRegistry.OwnershipTransferred(modelId, owner, newOwner);
        vm.prank(newOwner);
        registry.acceptOwnership(modelId);
        vm.assertEq(registry.modelOf(modelId).owner, newOwner, "owner");
        vm.assertEq(registry.pendingOwnerOf(modelId), address(0), "offer taken");
        (Offer memory offer,,) = registry.quote(modelId, listing.versionId);
        vm.assertEq(offer.owner, newOwner, "offer.owner");
        vm.assertEq(offer.payee, ownPayee ? payee : newOwner, "offer.payee");
        vm.assertEq(offer.fee, FEE, "offer.fee");

        _refusesCall(
            newOwner,
            abi.encodeCall(registry.acceptOwnership, (modelId)),
            abi.encodeWithSelector(IModelRegistry.NotOfferedTo.selector, modelId, address(0), newOwner)
        );
    }

    function testFuzz_onlyWhomItWasOfferedToAcceptsUntilItIsTakenBack(address caller) external {
        vm.assume(caller != outsider && caller != address(0));
        bytes32 modelId = _register();
        vm.prank(owner);
        registry.offerOwnership(modelId, outsider);
        bytes memory accept = abi.encodeCall(registry.acceptOwnership, (modelId));
        _refusesCall(
            caller, accept, abi.encodeWithSelector(IModelRegistry.NotOfferedTo.selector, modelId, outsider, caller)
        );
        vm.prank(owner);
        registry.offerOwnership(modelId, address(0));
        _refusesCall(
            outsider, accept, abi.encodeWithSelector(IModelRegistry.NotOfferedTo.selector, modelId, address(0), outsider)
        );
    }

    // --- service keys -----------------------------------------------------------------------------

    function testFuzz_serviceKeysHaveEpochsFromOne(bytes32[4] memory keys) external {
        bytes32 modelId = _register();
        ServiceKey memory key = registry.serviceKeyOf(modelId);
        vm.assertTrue(key.epoch == 0 && key.publicKey == 0, "none");
        for (uint32 i = 0; i < 4; ++i) {
            if (keys[i] == 0) keys[i] = bytes32(uint256(1));
            _announces(address(registry));
            emit IModelRegistry.ServiceKeySet(modelId, i + 1, keys[i]);
            vm.prank(owner);
            vm.assertEq(registry.setServiceKey(modelId, keys[i]), i + 1, "epoch");
            key = registry.serviceKeyOf(modelId);
            vm.assertTrue(key.epoch == i + 1 && key.publicKey == keys[i], "serviceKeyOf");
        }
        _refusesCall(
            owner,
            abi.encodeCall(registry.setServiceKey, (modelId, 0)),
            abi.encodeWithSelector(IModelRegistry.KeyIsZero.selector)
        );
    }

    function _ownersCalls(Listing memory listing) private view returns (bytes[] memory calls) {
        calls = new bytes[](7);
        calls[0] = abi.encodeCall(registry.setTerms, (listing.modelId, _terms()));
        calls[1] = abi.encodeCall(registry.raiseThresholds, (listing.modelId, new Metric[](0)));
        calls[2] = abi.encodeCall(registry.retireModel, (listing.modelId));
        calls[3] = abi.encodeCall(registry.offerOwnership, (listing.modelId, outsider));
        calls[4] = abi.encodeCall(registry.setServiceKey, (listing.modelId, bytes32(uint256(1))));
        calls[5] = abi.encodeCall(registry.publishVersion, (_version(listing.modelId), ""));
        calls[6] = abi.encodeCall(registry.retireVersion, (listing.modelId, listing.versionId));
    }

    function _refusesCall(address caller, bytes memory data, bytes memory refusal) private {
        vm.prank(caller);
        (bool taken, bytes memory reason) = address(registry).call(data);
        vm.assertTrue(!taken, "taken");
        vm.assertEq(reason, refusal, "reason");
    }

    /// @dev Empty if the terms are good.
    function _refusal(ModelTerms memory terms) private view returns (bytes memory) {
        bool inToken = terms.token != ETH;
        uint256 unit = inToken ? 1 : 1 gwei;
        uint256 most = inToken ? type(uint96).max : uint256(type(uint48).max) * 1 gwei;
        if (terms.fee % unit != 0 || terms.fee > most) return _invalidFee(terms.fee, unit, most);
        if (inToken && terms.token.code.length == 0) {
            return abi.encodeWithSelector(IModelRegistry.TokenHasNoCode.selector, terms.token);
        }
        if (terms.payeeBps > 10_000) {
            return abi.encodeWithSelector(IModelRegistry.InvalidShare.selector, terms.payeeBps, 10_000);
        }
        if (terms.maxDelay == 0) return abi.encodeWithSelector(IModelRegistry.MaxDelayIsZero.selector);
        return "";
    }

    function _invalidFee(uint256 fee, uint256 unit, uint256 most) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IModelRegistry.InvalidFee.selector, fee, unit, most);
    }
}

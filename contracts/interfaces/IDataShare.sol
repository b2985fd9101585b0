// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice The answer to "may this grantee do that?".
/// @param Granted A live grant covers it.
/// @param NotGranted There is no grant: none was ever made, or it was revoked by itself.
/// @param Revoked The owner ended everything it had granted to this grantee.
/// @param Expired The grant's last second has passed.
/// @param RightMissing The grant is live but does not carry the right asked for.
/// @param QuotaExhausted Every use of the grant has been consumed.
enum Access {
    Granted,
    NotGranted,
    Revoked,
    Expired,
    RightMissing,
    QuotaExhausted
}

/// @notice What an owner grants.
/// @param rights Any combination of READ (1), INFER (2) and SERVE (4); never empty.
/// @param expiry Last second (Unix time) at which the grant is live; `type(uint40).max` means for ever.
/// @param uses How many requests the grantee may place; `type(uint24).max` means unlimited. Counts
/// INFER only and is never given back.
/// @param meter The only contract that may consume uses, in general an InferenceEscrow. Required with
/// INFER.
struct GrantTerms {
    uint8 rights;
    uint40 expiry;
    uint24 uses;
    address meter;
}

/// @notice A grant as stored, in one word.
/// @param meter See `GrantTerms`.
/// @param expiry See `GrantTerms`.
/// @param uses Requests the grantee may still place.
/// @param generation The generation of owner and grantee the grant was made in; it is void in any other.
/// @param rights See `GrantTerms`. Zero where there is no grant.
struct Grant {
    address meter;
    uint40 expiry;
    uint24 uses;
    uint24 generation;
    uint8 rights;
}

/// @notice One of several grants made in one call.
struct GrantItem {
    address grantee;
    bytes32 resource;
    GrantTerms terms;
    bytes wrappedKey;
}

/// @notice One of several grants ended in one call.
struct RevokeItem {
    address grantee;
    bytes32 resource;
}

/// @notice A grant that its owner signed for anyone to hand in.
/// @param generation The current `generationOf(owner, grantee)`.
/// @param nonce The current `nonceOf(owner, grantee)`.
/// @param deadline Last second (Unix time) at which it can be redeemed.
struct SignedGrant {
    address owner;
    address grantee;
    bytes32 resource;
    GrantTerms terms;
    uint24 generation;
    uint64 nonce;
    uint256 deadline;
}

/// @title IDataShare
/// @notice Who may do what with whose data or model, until when and how often.
///
/// A grant goes from an owner to a grantee and is scoped to a resource of that owner: a data key, or a
/// model id. `EVERYTHING` is the one resource that stands for all of an owner's; it carries READ only.
///
/// WARNING: The chain is public. `fetchData` keeps no one from reading a content hash, since anyone can
/// simulate a call from any sender. Grants decide who is served and who is given keys; only encryption
/// makes content confidential.
///
/// WARNING: Revoking ends access to what is served or published next. It cannot take back what a
/// grantee has already opened.
///
/// Signed grants: an owner that allows them may sign a grant off chain (EIP-712) for anyone to redeem.
/// Whatever the owner does on chain later wins: `revokeAccess`, and `revoke` of any grant to the same
/// grantee, void every signature not yet redeemed; while signed grants are not allowed, none can be; and
/// none made before they were allowed, or allowed again, ever can be.
///
/// Nobody, the deployer included, has any power over the grants of others.
interface IDataShare {
    /// @notice An owner published, or replaced, the content behind a data key.
    event DataPublished(address indexed owner, bytes32 indexed dataKey, bytes32 contentHash, string uri);

    /// @notice An owner granted access; a grant on the same resource replaces the one before.
    /// @param wrappedKey The content key, wrapped for the grantee; empty where nothing is encrypted.
    event AccessGranted(
        address indexed owner,
        address indexed grantee,
        bytes32 indexed resource,
        uint8 rights,
        uint40 expiry,
        uint24 uses,
        address meter,
        uint24 generation,
        bytes wrappedKey
    );

    /// @notice An owner ended the grant on one resource.
    event AccessRevoked(address indexed owner, address indexed grantee, bytes32 indexed resource);

    /// @notice An owner ended every grant to a grantee at once.
    /// @param generation The generation that only later grants will carry.
    event AllAccessRevoked(address indexed owner, address indexed grantee, uint24 generation);

    /// @notice An owner began, or ceased, to allow grants by signature.
    event SignedGrantsAllowed(address indexed owner, bool allowed);

    /// @notice An owner handed the key of a resource's next epoch to grantees, whose grants stay as they are.
    /// @param wrappedKeys 80 bytes for each of `grantees`, in their order.
    event KeysRewrapped(address indexed owner, bytes32 indexed resource, address[] grantees, bytes wrappedKeys);

    /// @notice An account registered the X25519 public key that its envelopes are sealed to from now on.
    /// @param index Its place among the account's keys, from 1.
    event KeyRegistered(address indexed account, uint32 indexed index, bytes32 publicKey);

    /// @notice No live grant covers what was asked.
    error AccessDenied(address owner, address grantee, bytes32 resource, uint8 right, Access reason);

    /// @notice The owner has published nothing under this data key.
    error NotPublished(address owner, bytes32 dataKey);

    /// @notice The zero address cannot hold a grant.
    error GranteeIsZero();

    /// @notice The rights are empty, or hold a bit that means nothing.
    error InvalidRights(uint8 rights, uint8 known);

    /// @notice The resource `EVERYTHING` was used where one resource must be named, or with more than READ.
    error ResourceIsEverything(uint8 rights);

    /// @notice The grant would have ended before it began.
    error ExpiryPassed(uint256 expiry, uint256 timestamp);

    /// @notice A grant with INFER needs at least one use.
    error QuotaIsZero();

    /// @notice A grant with INFER must name the contract that may consume its uses.
    error MeterIsZero();

    /// @notice Only the meter named in the grant may consume its uses.
    error NotMeter(address meter, address caller);

    /// @notice The hash of published content cannot be zero.
    error ContentHashIsZero();

    /// @notice A wrapped key is of no use to a grantee that has registered no key to unwrap it with.
    error GranteeHasNoKey(address grantee);

    /// @notice The owner does not allow grants by signature.
    error SignedGrantsNotAllowed(address owner);

    /// @notice The owner has ended everything it had granted to the grantee since it signed.
    error WrongGeneration(uint256 signed, uint256 current);

    /// @notice The signature was redeemed before, was voided by a revocation, or is not yet due.
    error WrongNonce(uint256 signed, uint256 current);

    /// @notice The signature can no longer be redeemed.
    error SignatureExpired(uint256 deadline, uint256 timestamp);

    /// @notice There must be 80 bytes of wrapped key for every grantee.
    error WrappedKeysLength(uint256 length, uint256 expected);

    /// @notice A public key cannot be zero.
    error KeyIsZero();

    /// @notice The resource that stands for everything an owner has.
    function EVERYTHING() external view returns (bytes32);

    /// @notice The right to open the data.
    function READ() external view returns (uint8);

    /// @notice The right to request predictions.
    function INFER() external view returns (uint8);

    /// @notice The right to answer requests, for pay.
    function SERVE() external view returns (uint8);

    // --- granting ---------------------------------------------------------------------------------

    /// @notice Gives `user` READ on everything of the caller, for ever, until revoked.
    function grantAccess(address user) external;

    /// @notice Ends every grant of the caller to `user`, scoped ones included, at a constant cost.
    /// @dev Never fails on account of what was or was not granted, so it can be called when in doubt.
    function revokeAccess(address user) external;

    /// @notice Grants `grantee` rights on one resource of the caller, replacing an earlier grant on it.
    /// @param wrappedKey Passed on in the event; not stored and not checked.
    function grant(address grantee, bytes32 resource, GrantTerms calldata terms, bytes calldata wrappedKey)
        external;

    /// @notice Ends the caller's grant to `grantee` on one resource, and no other. A READ grant on
    /// `EVERYTHING` goes on covering the resource until it is revoked itself.
    function revoke(address grantee, bytes32 resource) external;

    /// @notice `grant`, several times over; all of them or none.
    function grantMany(GrantItem[] calldata items) external;

    /// @notice `revoke`, several times over.
    function revokeMany(RevokeItem[] calldata items) external;

    /// @notice Hands the key of a new epoch of one of the caller's resources to grantees.
    /// @param wrappedKeys 80 bytes for each of `grantees`, in their order.
    /// @dev Passes all of it on in one event. Nothing is stored or checked: whose grants are live is for
    /// the caller to find out beforehand, from events and `accessOf`.
    function rewrapKeys(bytes32 resource, address[] calldata grantees, bytes calldata wrappedKeys) external;

    // --- granting by signature --------------------------------------------------------------------

    /// @notice Allows or forbids grants by the caller's signature. Forbidden to begin with; to allow them,
    /// for the first time or again, voids every signature made before.
    /// @dev Once allowed, `revoke` costs one more storage write: the one that voids signatures.
    function allowSignedGrants(bool allowed) external;

    /// @notice Makes a grant that its owner signed. Anyone may call this.
    /// @param signature Of the owner: 65 bytes of an externally owned account, with or without delegated
    /// code, or what the owner's `isValidSignature` (ERC-1271) accepts.
    /// @dev Also reverts as `grant`, and with the errors of `Signatures`.
    function redeemGrant(SignedGrant calldata signed, bytes calldata wrappedKey, bytes calldata signature)
        external;

    /// @notice The nonce that the next signed grant from `owner` to `grantee` must carry.
    function nonceOf(address owner, address grantee) external view returns (uint64);

    /// @notice Whether `owner` allows grants by its signature.
    function signedGrantsAllowed(address owner) external view returns (bool);

    // --- encryption keys --------------------------------------------------------------------------

    /// @notice Registers the X25519 public key that envelopes for the caller are sealed to from now on.
    /// Earlier keys stay readable by index.
    /// @return index Its place among the caller's keys, from 1.
    function registerKey(bytes32 publicKey) external returns (uint32 index);

    /// @notice The current key of `account`; index and key are zero if it has registered none.
    function keyOf(address account) external view returns (uint32 index, bytes32 publicKey);

    /// @notice The key of `account` at `index`; zero if there is none.
    function keyAt(address account, uint32 index) external view returns (bytes32 publicKey);

    // --- publishing and reading -------------------------------------------------------------------

    /// @notice Publishes, or replaces, the content behind one of the caller's data keys.
    /// @param contentHash Keccak-256 of the stored bytes (the ciphertext, where encrypted).
    /// @param uri The content store that holds the bytes; passed on in the event.
    function publishData(bytes32 dataKey, bytes32 contentHash, string calldata uri) external;

    /// @notice The content hash behind `owner`'s `dataKey`, for a caller that `owner` granted READ.
    /// @dev Reverts with `AccessDenied` or `NotPublished`.
    function fetchData(address owner, bytes32 dataKey) external view returns (bytes32 contentHash);

    // --- checking and consuming -------------------------------------------------------------------

    /// @notice Whether, and if not why not, `grantee` holds `right` on `owner`'s `resource` now.
    /// @param right One right, or several of which all are asked for.
    /// @dev An owner has READ and INFER on its own resources without any grant. SERVE is never implied:
    /// SERVE grants are the only list of a model's workers. For READ, a live grant on `EVERYTHING` is as
    /// good as one on the resource.
    function accessOf(address owner, address grantee, bytes32 resource, uint8 right)
        external
        view
        returns (Access);

    /// @notice Reverts with `AccessDenied` unless `accessOf` is `Granted`.
    function requireAccess(address owner, address grantee, bytes32 resource, uint8 right) external view;

    /// @notice Consumes `count` uses of a grant with INFER. Only the grant's meter may call this; unlimited
    /// grants, and an owner's use of its own model, consume nothing.
    /// @dev Reverts with `AccessDenied` (`QuotaExhausted` too if fewer than `count` uses are left) or
    /// `NotMeter`.
    function consume(address owner, address grantee, bytes32 resource, uint256 count) external;

    /// @notice The grant as stored; it may be expired, exhausted or of a past generation.
    function grantOf(address owner, address grantee, bytes32 resource) external view returns (Grant memory);

    /// @notice How often `owner` has ended everything it had granted to `grantee`.
    function generationOf(address owner, address grantee) external view returns (uint24);
}

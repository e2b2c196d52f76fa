package Mesh::Test::Mint;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Tokens for the tests of the ucan module, good and bad, made by
# t/unit/ucan_mint.c with keys that belong to names.
#
#     my $token = Mesh::Test::Mint->mint(<<'END');
#     delegation read iss=mesh aud=ada cmd=/room/read
#     invocation open iss=ada sub=ada cmd=/session/open
#     container session list=read,open
#     END
#
#     $mesh->get('/', token => $token->{session});
#
# Lines:
#
#     did NAME key=KEY
#     key NAME seed= did= by=          a key from elsewhere, see below
#     import NAME text=CONTAINER       its tokens: NAME.0, NAME.1, ...
#     delegation NAME iss= aud= sub= cmd= room= policy= exp= nbf=
#     invocation NAME iss= aud= sub= cmd= args=NAME:VALUE prf= nonce= exp=
#     jwt NAME iss= aud= caps= prf= exp= nbf=
#     forgery NAME list=TOKEN          the same, its signature changed
#     container NAME form=B|C|O|P list=
#     header NAME list=                the "ucans" header
#     cid NAME list=TOKEN
#     record NAME iss= list=TOKEN      a revocation of 0.x
#
# iss, aud and sub are names of keys ("mesh" unless given; sub=null for a
# delegation of whatever its issuer will ever get); prf and list are names of
# tokens, or of an import for all of its tokens; exp and nbf are seconds from
# now, or "none".  args=revoke:@TOKEN is a link to that token.  A delegation
# with room= has the policy [["==", ".room", ROOM]], one with policy= that
# JSON, written without blanks.
#
# A key has the seed that a key file says, or, when nobody will sign with it,
# nothing but a DID; with by=KEY it belongs to a liar: it signs as KEY does,
# and claims to be DID.

use strict;
use warnings;

use Mesh::Test;

my $built = 0;


sub mint {
    my ($class, $lines) = @_;

    if (!$built++) {
        my ($rc, $text) = Mesh::Test->build('unit');
        die "the mint cannot be built:\n$text" if $rc != 0;
    }

    my ($rc, $out, $err) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/unit/ucan_mint' ],
        stdin => $lines, env => Mesh::Test->sanitizer_options);

    die "the mint failed: $err" if $rc != 0;

    return { map { split / /, $_, 2 } split /\n/, $out };
}


# A configuration needs these before the first token is made.

sub did {
    my ($class, $key) = @_;

    return $class->mint("did it key=$key\n")->{it};
}


1;

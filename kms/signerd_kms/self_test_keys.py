"""RSA keys for the self-test: fixed and public, because making one takes seconds. They protect nothing."""

from cryptography.hazmat.primitives.asymmetric import rsa

from signerd_kms.key import KeyType
from signerd_kms.key_material import RSA_EXPONENT

_PRIMES = {
    KeyType.RSA_2048: (
        """
        fee77bb1941a3bc36dd752ee5a6ee4c3433785fda2c86f844affadefd2f3578759d7b069c0fb46b8162eb30e3a0176d7
        780b48137e41610ce06e76cbcabf79e9f32e2f9caccc0d771731b38b279fd004ef78dbf06b797ab23dbde3e539a0a951
        3c8107a8890326520edb0ab195121668a12b5858cd19aa56c6cb54fbe9e6d7d9
        """,
        """
        e0a072f465ac0ec0c88db11aa8d8d00771989d0522ba8d5e35de6d3f948e50a06e53befed55ae36c5aa95b3f6236af9f
        f07bcd25d7f3e69a2b4a4054797e30fef2f88f4d8451985113847347a9896a158412b585c143cad74a68558e34fb157f
        ec624991565d518c3a9f8ab2ef2657a32bbf059b58fa24781c037e482b4d566f
        """,
    ),
    KeyType.RSA_3072: (
        """
        d5dc19ae7771eccafb294e4a5c939bd98239beb23578347a50142ebb5316f9b6091f19327a733c2e5e07fa7e288ad9a3
        604984bac89c3f5840ceadddaa4d0a00b84bf312c2151c021fe2e4f4fa9c1ba294f8b7efbe2a1f9a81d74f277e135d87
        31fbfa408b62cb3e7c3afcaa31328039727345ea61238e8dbbce46c29d5efaba0d240779dc6ea1de779261a19de2642b
        9b445d315790d4bbbba5c3b703948ac3c5747d09a51333621e55159fa0a43af22fee1f891f5c97fdbb86d3a604ebd051
        """,
        """
        cb2dad03764c543f5cf88a0764ba2b8e07197dc0d603e5328a2c8f8f701051479ad558d8411f1c271bace6579ed9df8e
        6bf82debd14111d3aae618d3ae72171ab8851d97bc7e6336673ec797f7a0f1638ba8bf60667ecfd396d63578aee33e5b
        cd6277e65ff6ed743c513af26614e16b34f2f3ae477db6468db8719e41b8c884587f8c53861d379253d0364a6d95671d
        5f89665c56e46e0deffdc518b068d94c87c490b74e59419d35cf04ff1282177c59c65b1d7694a3da593638438bcabc65
        """,
    ),
    KeyType.RSA_4096: (
        """
        d5a4de99fb0c9981efcd66ff6b7bae2dc4b866b56c69158b2f957a3bb1154ee0a0962c1ca4338f0d5fac14e649ca5a2b
        49ea1090200fafedc895cf454428ad9f2c76db8471d029488633f5ad1f2ff497ba64947a64079ebd3898f20bedcbfa21
        dc263526ebb54c01e696f18c1699950c6603a934f7dedf2b78857958cfa42509a239a65baee5f6ed960ab6c472d49441
        852295bae7b4c44077c000189200e224cd129f58370627f620b1fd1b1b2de864239f23ac229a1a6063ae83287499be3f
        e0340edb73507e236fcf23a714042de66c69eebf7c6c3fd394bf1d8ced741b4d64b2620f603ef99f47319b5c0d99aed4
        86111126d9019c3172f76c4104e2b69b
        """,
        """
        d22545b2ef721f8da0eba4640b91e49aec6dad350b26b3bccb1d73d8294afb99852c78452339b8c9856b66ff8bcc4430
        2bdf66a55cc8f2d9db7ea18e5867879cfeee83e0a68cb0d09449c814e49f2b648927b0d5426570a30be714079b6d005c
        3eccfd8897d1dede4b2a8d39d74e3f9d8ab8aaebdc53fe0f1d676636673828825ef57e9aa42628921a565323ea5ac604
        6b6377580375b7d80befae12b72a9188c981643d2d0a7d0c143c3be039bb310a20c7904ca3d5a9661b969c130ecde138
        022f4b33617635f429ad6396f633dd1c3404476558a5af8300ce707fd7bb58b709f7361d0d93e1720f208e96ff8adfd0
        29375c1aaa49861143514fc39e16a6df
        """,
    ),
}


def make_rsa_key(key_type: KeyType) -> rsa.RSAPrivateKey:
    """Give the test key of an RSA type."""
    p, q = (int("".join(text.split()), 16) for text in _PRIMES[key_type])
    d = pow(RSA_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(RSA_EXPONENT, p * q)
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # validating takes longer than the test
